/** Results from a server: the page's `predictor.js` where `maskzoo serve` shows it. */

import { fromRunLengths } from "./masks.js";
import { Refusal } from "./refusal.js";

export const uploads = true; // photos leave this machine, and the page says so

/** Of objects that are asked for; the page filters them further without a new request. */
const LEAST_SCORE = 0.05;

/**
 * Return the predictor: `models`, their names, and `predict(file, onProgress, model)`, which returns
 * `{width, height, detections: [{label, name, category_id, score, box, makeMask}]}`; `makeMask()` returns a mask of `masks.js`.
 * Throws a Refusal.
 */
export async function openPredictor(onProgress, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const { models } = await ask("v1/models", { headers });
  return {
    models: models.map((model) => model.name),
    async predict(file, onProgress, model) {
      onProgress({ stage: "computing" });
      const query = new URLSearchParams({ score: LEAST_SCORE, masks: "rle", model });
      const kind = file.type.startsWith("image/") ? file.type : "application/octet-stream";
      const options = { method: "POST", body: file, headers: { ...headers, "Content-Type": kind } };
      const { width, height, detections } = await ask(`v1/predict?${query}`, options);
      return { width, height, detections: detections.map(toDetection) };
    },
  };
}

function toDetection({ label, name, category_id, score, box, segmentation }) {
  return { label, name, category_id, score, box, makeMask: () => fromRunLengths(segmentation) };
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refusal("unreachable");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const key = { 401: "needs_token", 413: "too_large", 503: "busy" }[response.status] ?? "refused";
  throw new Refusal(key, body.detail ?? `HTTP ${response.status}`, response.status);
}
