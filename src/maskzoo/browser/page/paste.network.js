/**
 * From the network's output to objects on the photo, by the rules of Python's `ops/masks.py` and `inference/prediction.py`.
 * Sums round to float32 where they do there, so that pixels on an edge fall the same way.
 */

import { shrinkMask } from "./masks.js";

const f = Math.fround;

/** Return the box clipped to a photo of `size`, height and width; null if nothing is left of it. */
export function clipBox(box, [height, width]) {
  const clipped = box.map((value, index) => Math.min(Math.max(value, 0), index % 2 ? height : width));
  return clipped[2] > clipped[0] && clipped[3] > clipped[1] ? clipped : null;
}

/** Return the box in which a mask lies that is stretched to whole pixels, torchvision's rule. */
export function toWholePixels([left, top, right, bottom], side) {
  const stretch = (low, high) => {
    const [centre, half] = [f(f(high + low) * 0.5), f(f(f(high - low) * 0.5) * f((side + 2) / side))];
    const [first, last] = [Math.trunc(f(centre - half)), Math.trunc(f(centre + half))];
    const cell = f(Math.max(last - first + 1, 1) / (side + 2));
    return [f(first + cell), f(first + f(cell * (side + 1)))];
  };
  const [[x1, x2], [y1, y2]] = [stretch(left, right), stretch(top, bottom)];
  return [x1, y1, x2, y2];
}

/**
 * Return the mask of the pixels where `side` x `side` probabilities, stretched over the box, reach the threshold: sampled at
 * pixel centres, bilinear, with zeros around them.
 */
export function pasteMask(probabilities, side, [left, top, right, bottom], [height, width], threshold) {
  const across = layOut(left, right, width, side);
  const down = layOut(top, bottom, height, side);
  const bits = new Uint8Array(across.cells.length * down.cells.length);
  const column = new Float32Array(side + 2); // a column of cells between two zero cells
  across.cells.forEach((cell, x) => {
    const fraction = across.fractions[x];
    for (let row = 0; row < side; row++) {
      const before = cell > 0 ? probabilities[row * side + cell - 1] : 0;
      const after = cell < side ? probabilities[row * side + cell] : 0;
      column[row + 1] = f(f(before * f(1 - fraction)) + f(after * fraction));
    }
    down.cells.forEach((start, y) => {
      const step = f(column[start + 1] - column[start]);
      bits[y * across.cells.length + x] = f(column[start] + step * down.fractions[y]) >= threshold ? 1 : 0;
    });
  });
  return shrinkMask({ x: across.origin, y: down.origin, width: across.cells.length, height: down.cells.length, bits });
}

/** Lay a mask out along one axis: its first pixel, and of each pixel the cell before its centre and the way to the next. */
function layOut(low, high, limit, side) {
  const extent = f(high - low);
  const margin = f(f(extent / (2 * side)) + 1);
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
  const origin = clamp(Math.floor(f(low - margin)), 0, limit);
  const end = clamp(Math.ceil(f(high + margin)), 0, limit);
  const cells = new Uint16Array(Math.max(end - origin, 0));
  const fractions = new Float32Array(cells.length);
  for (let index = 0; index < cells.length; index++) {
    const grid = f(f(f(f(origin + index + 0.5 - low) / extent) * 2) - 1);
    const position = clamp(f(f(f(f(grid + 1) * side) - 1) / 2), -1, side);
    const cell = Math.min(Math.floor(position), side - 1);
    cells[index] = cell + 1;
    fractions[index] = f(position - cell);
  }
  return { origin, cells, fractions };
}
