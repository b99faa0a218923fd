/** Objects drawn on a photo, on the screen as in the file that is saved. */

import { pickColour } from "./colours.js";
import { measureArea, traceRings } from "./masks.js";

/** Return the detections as they are drawn, the highest score first. */
export function prepareDetections(detections) {
  const sorted = [...detections].sort((one, other) => other.score - one.score);
  return sorted.map((detection, index) => new Drawn(detection, index));
}

/** A detection, and what drawing needs of it. Its mask is made when it is first shown: most objects have low scores. */
class Drawn {
  constructor({ label, name, category_id, score, box, makeMask }, index) {
    Object.assign(this, { label, name, category_id, score, box, makeMask, index });
  }

  get mask() {
    return this.keep("mask", this.makeMask());
  }

  get rings() {
    return this.keep("rings", traceRings(this.mask));
  }

  get area() {
    return this.keep("area", measureArea(this.mask));
  }

  get path() {
    return this.keep("path", toPath(this.rings));
  }

  keep(name, value) {
    Object.defineProperty(this, name, { value });
    return value;
  }
}

function toPath(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], corner) => (corner ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

/** Draw a photo in its own frame, or grey where the browser cannot read it. */
export function drawPhoto(context, { bitmap, width, height }, smooth = true) {
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#888";
  if (bitmap) context.drawImage(bitmap, 0, 0, width, height);
  else context.fillRect(0, 0, width, height);
}

/**
 * Draw detections where the context's frame is the photo's, large ones below small ones, labels above all.
 * `show`: `{masks, boxes, labels}`; `unit`: a pixel of the screen in pixels of the photo; `marked`: the detection that stands
 * out, if any.
 */
export function drawDetections(context, detections, show, unit, marked = null) {
  const below = [...detections].sort((one, other) => other.area - one.area);
  for (const one of below) {
    const [fill, fade] = marked === null ? [0.4, 1] : one === marked ? [0.55, 1] : [0.12, 0.35];
    if (show.masks) {
      context.fillStyle = pickColour(one.index, fill);
      context.fill(one.path);
      context.strokeStyle = pickColour(one.index, fade);
      context.lineWidth = 1.75 * unit;
      context.lineJoin = "round";
      context.stroke(one.path);
    }
    if (show.boxes) {
      const [left, top, right, bottom] = one.box;
      context.strokeStyle = pickColour(one.index, fade);
      context.lineWidth = 2 * unit;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }
  const taken = []; // where labels are already
  const labelled = show.labels ? detections.filter((one) => marked === null || one === marked) : [];
  for (const one of labelled) drawLabel(context, one, unit, taken);
}

/** Draw a label above its box, or as far below as there is another label. */
function drawLabel(context, { box, name, score, index }, unit, taken) {
  const text = `${name} ${Math.round(score * 100)}%`;
  context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  const [width, height] = [context.measureText(text).width + 10 * unit, 18 * unit];
  const left = box[0] - unit;
  let top = box[1] >= height ? box[1] - height : box[1];
  const isTaken = (one) => Math.abs(one.top - top) < height && left < one.left + one.width && one.left < left + width;
  for (let other; (other = taken.find(isTaken)); ) top = other.top + height;
  taken.push({ left, top, width });
  context.fillStyle = pickColour(index);
  context.fillRect(left, top, width, height);
  context.fillStyle = "#000";
  context.textBaseline = "middle";
  context.fillText(text, left + 5 * unit, top + height / 2 + unit / 2);
}
