/** Results from a network in the browser: the page's `predictor.js` where `maskzoo export --to web` wrote it. */

import { pasteMask } from "./paste.js";
import { Refusal } from "./refusal.js";

export const uploads = false;

/** Return the predictor, as `predictor.server.js` says; the network runs in a worker, so that the page stays alive. */
export async function openPredictor(onProgress) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const ask = (question, onProgress) =>
    new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Refusal("no_network"));
      worker.onmessage = ({ data: { progress, problem, result } }) => {
        if (progress) onProgress(progress);
        else if (problem) reject(new Refusal(problem.key, problem.detail));
        else resolve(result);
      };
      worker.postMessage(question); // the page asks one question at a time
    });
  const models = await ask({}, onProgress);
  return { models, predict: async (file, onProgress) => addMasks(await ask({ file }, onProgress)) };
}

function addMasks({ width, height, side, threshold, detections }) {
  const add = ({ cells, frame, ...detection }) => {
    return { ...detection, makeMask: () => pasteMask(cells, side, frame, [height, width], threshold) };
  };
  return { width, height, detections: detections.map(add) };
}
