/**
 * Masks as the page holds them: `{x, y, width, height, bits}`, the smallest rectangle of the photo that holds the object,
 * one byte a pixel, row by row.
 */

const EMPTY = { x: 0, y: 0, width: 0, height: 0, bits: new Uint8Array(0) };

/** Return the mask of COCO's compressed run lengths, `{size: [height, width], counts}`. */
export function fromRunLengths({ size, counts }) {
  const height = size[0];
  const columns = [];
  let at = 0;
  let inside = false;
  for (const count of readCounts(counts)) {
    for (const end = at + count; inside && at < end; ) {
      const x = Math.floor(at / height);
      const stop = Math.min(end, (x + 1) * height);
      columns.push([x, at - x * height, stop - x * height]);
      at = stop;
    }
    at = inside ? at : at + count;
    inside = !inside;
  }
  return columns.length ? fillColumns(columns) : EMPTY;
}

function fillColumns(columns) {
  const x = columns[0][0];
  const y = columns.reduce((least, [, start]) => Math.min(least, start), Infinity);
  const width = columns.at(-1)[0] + 1 - x;
  const height = columns.reduce((most, [, , end]) => Math.max(most, end), 0) - y;
  const bits = new Uint8Array(width * height);
  for (const [column, start, end] of columns) {
    for (let row = start; row < end; row++) bits[(row - y) * width + column - x] = 1;
  }
  return { x, y, width, height, bits };
}

/** Return the smallest mask in `bits` of a rectangle, row by row, whose first pixel lies at `x`, `y`. */
export function shrinkMask({ x, y, width, height, bits }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (!bits[row * width + column]) continue;
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
      top = Math.min(top, row);
      bottom = row + 1;
    }
  }
  if (right === 0) return EMPTY;
  const small = new Uint8Array((right - left) * (bottom - top));
  for (let row = top; row < bottom; row++) {
    small.set(bits.subarray(row * width + left, row * width + right), (row - top) * (right - left));
  }
  return { x: x + left, y: y + top, width: right - left, height: bottom - top, bits: small };
}

/** Return the mask as COCO's compressed run lengths on a photo of `size`, height and width. */
export function toRunLengths(mask, size) {
  const counts = [0];
  let inside = 0;
  const add = (value, count) => {
    if (count === 0) return;
    if (value !== inside) {
      counts.push(0);
      inside = value;
    }
    counts[counts.length - 1] += count;
  };
  add(0, mask.x * size[0]);
  for (let column = 0; column < mask.width; column++) {
    add(0, mask.y);
    for (let row = 0; row < mask.height; row++) add(mask.bits[row * mask.width + column], 1);
    add(0, size[0] - mask.y - mask.height);
  }
  add(0, (size[1] - mask.x - mask.width) * size[0]);
  return { size, counts: writeCounts(counts) };
}

/** COCO's text of run lengths: from the fourth on the difference to the one before the last, 5 bits a letter. */
function readCounts(text) {
  const counts = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let shift = 0;
    let letter = 32;
    while (letter & 32) {
      letter = text.charCodeAt(at++) - 48;
      value |= (letter & 31) << shift;
      shift += 5;
    }
    if (letter & 16) value |= -1 << shift;
    counts.push(counts.length > 2 ? value + counts.at(-2) : value);
  }
  return counts;
}

function writeCounts(counts) {
  let text = "";
  counts.forEach((count, index) => {
    let value = index > 2 ? count - counts[index - 2] : count;
    for (let more = true; more; ) {
      const bits = value & 31;
      value >>= 5;
      more = value !== (bits & 16 ? -1 : 0);
      text += String.fromCharCode((more ? bits | 32 : bits) + 48);
    }
  });
  return text;
}

/** Return how many pixels the mask has. */
export function measureArea(mask) {
  return mask.bits.reduce((sum, bit) => sum + bit, 0);
}

/** Say whether the pixel at `x`, `y` of the photo belongs to the mask. */
export function covers(mask, x, y) {
  const [column, row] = [Math.floor(x) - mask.x, Math.floor(y) - mask.y];
  return column >= 0 && row >= 0 && column < mask.width && row < mask.height && mask.bits[row * mask.width + column] === 1;
}

const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // right, down, left, up

/**
 * Return the mask's outlines along the edges of pixels, `[[x, y], ...]` each: clockwise around the object, the other way
 * around its holes. Pixels that touch at a corner alone have outlines of their own.
 */
export function traceRings(mask) {
  const { width, height } = mask;
  const edges = markEdges(mask);
  const rings = [];
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      while (edges[y * (width + 1) + x] & 1) rings.push(followRing(edges, width + 1, x, y, mask));
    }
  }
  return rings;
}

/** Mark at each corner of pixels in which of the four directions an edge leaves it that has the object at its right hand. */
function markEdges({ width, height, bits }) {
  const edges = new Uint8Array((width + 1) * (height + 1));
  const isInside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x] === 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!bits[y * width + x]) continue;
      if (!isInside(x, y - 1)) edges[y * (width + 1) + x] |= 1;
      if (!isInside(x + 1, y)) edges[y * (width + 1) + x + 1] |= 2;
      if (!isInside(x, y + 1)) edges[(y + 1) * (width + 1) + x + 1] |= 4;
      if (!isInside(x - 1, y)) edges[(y + 1) * (width + 1) + x] |= 8;
    }
  }
  return edges;
}

function followRing(edges, pitch, startX, startY, mask) {
  const ring = [];
  let [x, y, direction] = [startX, startY, 0];
  do {
    const here = edges[y * pitch + x];
    // Right first, so that a ring stays with its pixel where two touch at a corner.
    const next = [direction + 1, direction, direction + 3].map((turn) => turn % 4).find((turn) => here & (1 << turn));
    if (ring.length === 0 || next !== direction) ring.push([x + mask.x, y + mask.y]);
    edges[y * pitch + x] &= ~(1 << next);
    direction = next;
    x += STEPS[direction][0];
    y += STEPS[direction][1];
  } while (x !== startX || y !== startY || edges[y * pitch + x] & (1 << ((direction + 1) % 4)));
  return ring;
}

/**
 * Return an outline for each part of what `traceRings` gives, for forms whose polygons know no holes: a line to each hole
 * is walked both ways, so that it encloses nothing and the hole is outside.
 */
export function cutHoles(rings) {
  const parts = rings.map((ring) => ({ ring, area: measureRing(ring), points: ring }));
  const outlines = parts.filter(({ area }) => area > 0).sort((one, other) => one.area - other.area);
  for (const { ring: hole, area } of parts) {
    if (area > 0) continue;
    const [x, y] = hole[0]; // below and right of it lies a pixel of the part that the hole is in
    const around = outlines.find(({ ring }) => encloses(ring, x + 0.5, y + 0.5));
    const distances = around.points.map(([left, top]) => Math.hypot(left - x, top - y));
    const near = distances.indexOf(distances.reduce((least, distance) => Math.min(least, distance)));
    around.points = [...around.points.slice(0, near + 1), ...hole, hole[0], ...around.points.slice(near)];
  }
  return outlines.map(({ points }) => points);
}

/** Return the area in a ring, negative around a hole. */
function measureRing(ring) {
  const twice = ring.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return twice / 2;
}

/** Say whether a point off the edges of pixels lies in a ring along them. */
function encloses(ring, x, y) {
  return ring.reduce((inside, [left, top], index) => {
    const [nextLeft, nextTop] = ring[(index + 1) % ring.length];
    return left === nextLeft && left > x && Math.min(top, nextTop) < y && y < Math.max(top, nextTop) ? !inside : inside;
  }, false);
}
