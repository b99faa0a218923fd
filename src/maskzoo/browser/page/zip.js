/** Files in one archive, stored as they are: pictures do not get smaller by packing. */

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const UTF8 = 0x800; // the flag of names in UTF-8
const MIDNIGHT = 0x21; // 1 January 1980, the first day that the format knows

/** Return the ZIP archive of `[name, Uint8Array]` pairs. */
export function makeZip(files) {
  const parts = [];
  const entries = [];
  let offset = 0;
  for (const [name, content] of files) {
    const text = new TextEncoder().encode(name);
    const facts = [20, UTF8, 0, 0, MIDNIGHT, [checksum(content)], [content.length], [content.length], text.length, 0];
    const head = pack([[0x04034b50], ...facts]);
    parts.push(head, text, content);
    entries.push(pack([[0x02014b50], 20, ...facts, 0, 0, 0, [0], [offset]]), text);
    offset += head.length + text.length + content.length;
  }
  const length = entries.reduce((sum, entry) => sum + entry.length, 0);
  const end = pack([[0x06054b50], 0, 0, files.length, files.length, [length], [offset], 0]);
  return new Blob([...parts, ...entries, end], { type: "application/zip" });
}

/** Pack numbers: 16 bits each, those in brackets 32. */
function pack(numbers) {
  const bytes = new DataView(new ArrayBuffer(numbers.reduce((sum, number) => sum + (Array.isArray(number) ? 4 : 2), 0)));
  let at = 0;
  for (const number of numbers) {
    if (Array.isArray(number)) bytes.setUint32(at, number[0], true);
    else bytes.setUint16(at, number, true);
    at += Array.isArray(number) ? 4 : 2;
  }
  return new Uint8Array(bytes.buffer);
}

function checksum(content) {
  let value = 0xffffffff;
  for (const byte of content) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
