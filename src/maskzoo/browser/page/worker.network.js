/** The network in a worker: it loads on the first message, and answers each photo with what is on it. */

import { clipBox, toWholePixels } from "./paste.js";

const ROOT = new URL("../", import.meta.url);
const THREADS = 8; // at most, where the host's headers allow threads at all

let facts = null; // model.json
let network = null; // onnxruntime's session
let runtime = null;

self.onmessage = async ({ data: { file } }) => {
  const key = file ? "failed" : "no_network";
  try {
    self.postMessage({ result: file ? await predict(file) : await load() });
  } catch (error) {
    self.postMessage({ problem: { key: error.key ?? key, detail: error.key ? "" : String(error.message ?? error) } });
  }
};

async function load() {
  facts = await (await get("model.json")).json();
  runtime = await import(new URL("runtime/runtime.js", ROOT));
  const { wasm } = runtime.env;
  wasm.wasmPaths = { mjs: new URL("runtime/module.js", ROOT).href };
  wasm.wasmBinary = await download("runtime/module.wasm", "loading_runtime");
  wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, THREADS) : 1;
  const content = await download(facts.file, "loading_network");
  network = await runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
  return [facts.name];
}

async function get(path) {
  const response = await fetch(new URL(path, ROOT));
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response;
}

/** Return a file's bytes, telling the page as they come. */
async function download(path, stage) {
  const response = await get(path);
  const packed = response.headers.has("Content-Encoding"); // then the length is not that of what arrives
  const total = packed ? 0 : Number(response.headers.get("Content-Length"));
  const parts = [];
  let done = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { value } = await reader.read();
    if (!value) break;
    parts.push(value);
    done += value.length;
    self.postMessage({ progress: { stage, done, total } });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function predict(file) {
  self.postMessage({ progress: { stage: "computing" } });
  const { data, width, height } = await readPixels(file);
  const photo = new runtime.Tensor("uint8", data, [height, width, 3]);
  const { boxes, scores, labels, valid, masks } = await network.run({ photo });
  const side = masks.dims.at(-1);
  const detections = [];
  for (let index = 0; index < valid.data.length; index++) {
    const box = clipBox([...boxes.data.subarray(4 * index, 4 * index + 4)], [height, width]);
    if (!valid.data[index] || !box) continue;
    const cells = masks.data.slice(index * side * side, (index + 1) * side * side);
    const frame = facts.paste === "whole_pixels" ? toWholePixels(box, side) : box;
    const label = Number(labels.data[index]);
    const [category_id, name] = facts.classes[label];
    detections.push({ label, name, category_id, score: scores.data[index], box, frame, cells });
  }
  return { width, height, side, threshold: facts.mask_threshold, detections };
}

/** Return a photo's pixels, RGB, upright as EXIF says, in the colours that its file has. */
async function readPixels(file) {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw Object.assign(new Error(), { key: "no_photo" });
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return { data, width, height };
}
