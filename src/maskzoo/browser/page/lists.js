/** The lists: classes to choose from, objects, photos. */

import { pickColour } from "./colours.js";
import { say } from "./texts.js";

/** Fill `list` with a button for each class of the detections, pressed where it is shown; `onToggle(name)` on a click. */
export function listClasses(list, detections, hidden, onToggle) {
  const counts = new Map();
  for (const { name } of detections) counts.set(name, (counts.get(name) ?? 0) + 1);
  fill(list, [...counts.keys()].sort(), (button, name) => {
    button.textContent = `${name} ${counts.get(name)}`;
    button.ariaPressed = String(!hidden.has(name));
    button.onclick = () => onToggle(name);
  });
}

/** Fill `list` with a button for each detection; `onPick(detection)` on a click, `onHover(detection or null)` before. */
export function listObjects(list, detections, marked, picked, { onPick, onHover }) {
  const keyed = new Map(detections.map((one) => [String(one.index), one]));
  const make = (button, key) => {
    const one = keyed.get(key);
    const [swatch, name, score] = button.children.length ? button.children : addParts(button);
    swatch.style.background = pickColour(one.index);
    name.textContent = one.name;
    score.textContent = `${Math.round(one.score * 100)}%`;
    button.ariaPressed = String(one === picked);
    button.classList.toggle("hovered", one === marked);
    button.onclick = () => onPick(one);
    button.onpointerenter = button.onfocus = () => onHover(one);
    button.onpointerleave = button.onblur = () => onHover(null);
  };
  fill(list, [...keyed.keys()], make, "li");
  list.onkeydown = (event) => moveFocus(event, [...list.querySelectorAll("button")]);
}

function addParts(button) {
  const parts = ["swatch", "name", "score"];
  button.append(...parts.map((className) => Object.assign(document.createElement("span"), { className })));
  return button.children;
}

/** Keep a button for each key, in their order: those that stay are not made anew, so that they keep the focus. */
function fill(list, keys, describe, wrapper = null) {
  const old = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const elements = keys.map((key) => {
    const element = old.get(key) ?? makeButton(key, wrapper);
    describe(wrapper ? element.firstChild : element, key);
    return element;
  });
  keepElements(list, elements);
}

function keepElements(list, elements) {
  const { children } = list;
  if (elements.length !== children.length || elements.some((element, index) => element !== children[index])) {
    list.replaceChildren(...elements);
  }
}

function makeButton(key, wrapper) {
  const button = document.createElement("button");
  const element = wrapper ? document.createElement(wrapper) : button;
  element.dataset.key = key;
  if (wrapper) element.append(button);
  return element;
}

/** Fill the strip with the photos; `onSelect(photo)` and `onRemove(photo)` on clicks. */
export function listPhotos(strip, photos, current, { onSelect, onRemove }) {
  const items = photos.map((photo) => {
    const item = (photo.item ??= makeItem(photo, onSelect, onRemove));
    const [open, remove] = item.children;
    item.className = photo.problem ? "failed" : photo.detections ? "" : "waiting";
    open.ariaCurrent = String(photo === current);
    open.ariaLabel = photo.name;
    remove.ariaLabel = say("remove", { name: photo.name });
    return item;
  });
  keepElements(strip, items);
  strip.onkeydown = (event) => moveFocus(event, [...strip.querySelectorAll(".photo")]);
}

function makeItem(photo, onSelect, onRemove) {
  const item = document.createElement("li");
  const [open, remove] = ["photo", "remove"].map((className) => Object.assign(document.createElement("button"), { className }));
  const image = Object.assign(new Image(), { alt: "", src: photo.thumbnail });
  image.onerror = () => image.replaceWith("?"); // the browser cannot show it
  open.append(image);
  open.onclick = () => onSelect(photo);
  remove.textContent = "×";
  remove.onclick = () => onRemove(photo);
  item.append(open, remove);
  return item;
}

/** Let the arrow keys, Home and End go through buttons. */
function moveFocus(event, buttons) {
  const at = buttons.indexOf(document.activeElement);
  const last = buttons.length - 1;
  const next = {
    ArrowDown: at + 1,
    ArrowRight: at + 1,
    ArrowUp: at - 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: last,
  }[event.key];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  buttons[Math.min(Math.max(next, 0), last)].focus();
}
