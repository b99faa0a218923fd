/** What the page saves: JSON in the forms of others, pictures, cut-outs. A photo is `{name, width, height, bitmap}`. */

import { drawDetections, drawPhoto } from "./drawing.js";
import { cutHoles, toRunLengths } from "./masks.js";
import { makeZip } from "./zip.js";

const SHOWN = 900; // pixels of the shorter side at which a saved picture's strokes look as on the screen

/** Return the objects of a photo as `/v1/predict` gives them. */
export function toJson(photo, detections) {
  const { width, height } = photo;
  const rows = detections.map(({ label, name, category_id, score, box, area, mask }) => {
    return { label, name, category_id, score, box, area, segmentation: toRunLengths(mask, [height, width]) };
  });
  return { source: photo.name, height, width, detections: rows };
}

/** Return several photos, `[photo, detections]` each, as one COCO data set with scores. */
export function toCoco(found) {
  const images = [];
  const annotations = [];
  const categories = new Map();
  found.forEach(([photo, detections], index) => {
    const { width, height } = photo;
    images.push({ id: index + 1, file_name: photo.name, width, height });
    for (const { name, category_id, score, box, area, mask } of detections) {
      categories.set(category_id, { id: category_id, name });
      annotations.push({
        id: annotations.length + 1,
        image_id: index + 1,
        category_id,
        bbox: [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        area,
        segmentation: toRunLengths(mask, [height, width]),
        iscrowd: 0,
        score,
      });
    }
  });
  return { images, annotations, categories: [...categories.values()].sort((one, other) => one.id - other.id) };
}

/** Return a photo's file for LabelMe. Holes are cut out of their polygon; the parts of one object share a group. */
export function toLabelMe(photo, detections) {
  const shapes = detections.flatMap(({ name, score, rings, index }) => {
    const outlines = cutHoles(rings);
    return outlines.map((points) => ({
      label: name,
      score,
      points,
      group_id: outlines.length > 1 ? index + 1 : null,
      description: "",
      shape_type: "polygon",
      flags: {},
    }));
  });
  const { name: imagePath, width: imageWidth, height: imageHeight } = photo;
  return { version: "5.5.0", flags: {}, shapes, imagePath, imageData: null, imageHeight, imageWidth };
}

/** Return the photo with its objects, at its own size, as a PNG. */
export function drawPicture(photo, detections, show) {
  const canvas = new OffscreenCanvas(photo.width, photo.height);
  const context = canvas.getContext("2d");
  drawPhoto(context, photo);
  drawDetections(context, detections, show, Math.max(Math.min(photo.width, photo.height) / SHOWN, 0.75));
  return canvas.convertToBlob({ type: "image/png" });
}

/** Return the objects cut out of the photo, transparent around them: `{name, blob}`, a PNG, or of several a ZIP archive. */
export async function cutOut(photo, detections) {
  const cut = async ({ index, name, mask }) => {
    const blob = await cutOutOne(photo, mask);
    const file = `${stem(photo.name)}-${index + 1}-${name.replaceAll(/[^\p{L}\p{N}]+/gu, "-")}.png`;
    return [file, new Uint8Array(await blob.arrayBuffer())];
  };
  // All at once: a browser may let each wait a second for an idle moment.
  const files = await Promise.all(detections.filter(({ area }) => area > 0).map(cut));
  if (files.length === 1) return { name: files[0][0], blob: new Blob([files[0][1]], { type: "image/png" }) };
  return { name: `${stem(photo.name)}-cutouts.zip`, blob: makeZip(files) };
}

function cutOutOne(photo, { x, y, width, height, bits }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.translate(-x, -y);
  drawPhoto(context, photo);
  const pixels = context.getImageData(0, 0, width, height);
  bits.forEach((bit, index) => {
    if (!bit) pixels.data[4 * index + 3] = 0;
  });
  context.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Return a file's name without its ending. */
export function stem(name) {
  return name.replace(/\.[^.]+$/, "");
}

/** Let the browser save a blob, or what JSON there is of anything else. */
export function saveFile(name, content) {
  const blob = content instanceof Blob ? content : new Blob([JSON.stringify(content)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
