/** Why there is no result: a key of `texts.js`, and the sentence of whoever refused, if there is one. */
export class Refusal extends Error {
  constructor(key, detail = "", status = 0) {
    super(detail || key);
    this.key = key;
    this.detail = detail;
    this.status = status;
  }
}
