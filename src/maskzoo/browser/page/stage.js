/** The photo on the canvas: zoom, pan, and which object lies under the pointer. */

import { drawDetections, drawPhoto } from "./drawing.js";
import { covers } from "./masks.js";

const MOST_ZOOM = 32; // times the size at which the photo fits
const STEP = 1.25; // of one key press, click or notch of the wheel
const CLICK = 5; // pixels that the pointer may move during a click

export class Stage {
  /** `canvas` shows what `setScene` gives; `onHover(detection or null)` and `onPick` are called for what is pointed at. */
  constructor(canvas, onHover, onPick) {
    this.canvas = canvas;
    this.onHover = onHover;
    this.onPick = onPick;
    this.scene = null; // {width, height, bitmap, detections, show, marked}
    this.pointers = new Map();
    this.fit();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.onUp(event));
    canvas.addEventListener("pointerleave", () => this.onHover(null));
    canvas.addEventListener("dblclick", () => this.fit());
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  setScene(scene) {
    if (scene?.bitmap !== this.scene?.bitmap || scene?.width !== this.scene?.width) this.reset();
    this.scene = scene;
    this.draw();
  }

  reset() {
    this.zoom = 1;
    this.centre = [0.5, 0.5]; // the point of the photo in the middle of the canvas, as shares of its sides
  }

  fit() {
    this.reset();
    this.draw();
  }

  /** Zoom by a factor around a point of the canvas, its middle if none is given. */
  zoomBy(factor, point = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    if (!this.scene) return;
    const fixed = this.toPhoto(point);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const moved = this.toPhoto(point);
    this.moveBy(fixed[0] - moved[0], fixed[1] - moved[1]);
  }

  /** Move the view by pixels of the photo, not beyond its edges. */
  moveBy(across, down) {
    const { width, height } = this.scene;
    const clamp = (value) => (this.zoom === 1 ? 0.5 : Math.min(Math.max(value, 0), 1));
    this.centre = [clamp(this.centre[0] + across / width), clamp(this.centre[1] + down / height)];
    this.draw();
  }

  /** Pixels of the canvas, in CSS's measure, for a pixel of the photo. */
  get scale() {
    const { width, height } = this.scene;
    return Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height) * this.zoom;
  }

  toPhoto([x, y]) {
    const { width, height } = this.scene;
    return [
      this.centre[0] * width + (x - this.canvas.clientWidth / 2) / this.scale,
      this.centre[1] * height + (y - this.canvas.clientHeight / 2) / this.scale,
    ];
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const { canvas, scene } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    canvas.classList.toggle("zoomed", this.zoom > 1);
    if (!scene || !canvas.width || !canvas.height) return;
    const context = canvas.getContext("2d");
    const scale = this.scale * ratio;
    const left = canvas.width / 2 - this.centre[0] * scene.width * scale;
    const top = canvas.height / 2 - this.centre[1] * scene.height * scale;
    context.setTransform(scale, 0, 0, scale, left, top);
    drawPhoto(context, scene, scale < 3);
    drawDetections(context, scene.detections, scene.show, ratio / scale, scene.marked);
  }

  /** Return the smallest object under a point of the canvas, or null. */
  find(point) {
    if (!this.scene) return null;
    const [x, y] = this.toPhoto(point);
    const under = this.scene.detections.filter(({ mask, box }) =>
      this.scene.show.masks ? covers(mask, x, y) : x >= box[0] && x < box[2] && y >= box[1] && y < box[3],
    );
    return under.sort((one, other) => one.area - other.area)[0] ?? null;
  }

  onWheel(event) {
    event.preventDefault();
    this.zoomBy(STEP ** (-event.deltaY / 100), [event.offsetX, event.offsetY]);
  }

  onDown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.travelled = this.pointers.size > 1 ? Infinity : 0; // two fingers are no click
  }

  onMove(event) {
    const point = [event.offsetX, event.offsetY];
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.onHover(this.find(point));
      return;
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, point);
    this.travelled += Math.hypot(point[0] - before[0], point[1] - before[1]);
    if (!this.scene || this.travelled < CLICK) return;
    if (other) this.zoomBy(spread(point, other) / Math.max(spread(before, other), 1), middle(point, other));
    else this.moveBy((before[0] - point[0]) / this.scale, (before[1] - point[1]) / this.scale);
  }

  onUp(event) {
    if (!this.pointers.delete(event.pointerId) || event.type === "pointercancel") return;
    if (this.travelled < CLICK) this.onPick(this.find([event.offsetX, event.offsetY]));
  }

  onKey(event) {
    if (!this.scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 40 / this.scale;
    const act = {
      "+": () => this.zoomBy(STEP),
      "=": () => this.zoomBy(STEP),
      "-": () => this.zoomBy(1 / STEP),
      0: () => this.fit(),
      ArrowLeft: () => this.moveBy(-step, 0),
      ArrowRight: () => this.moveBy(step, 0),
      ArrowUp: () => this.moveBy(0, -step),
      ArrowDown: () => this.moveBy(0, step),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

const spread = (one, other) => Math.hypot(one[0] - other[0], one[1] - other[1]);
const middle = (one, other) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
