/** The page: photos come in, a predictor finds what is on them, and everything else is filtering and drawing. */

import { prepareDetections } from "./drawing.js";
import { cutOut, drawPicture, saveFile, stem, toCoco, toJson, toLabelMe } from "./files.js";
import { listClasses, listObjects, listPhotos } from "./lists.js";
import { openPredictor, uploads } from "./predictor.js";
import { Refusal } from "./refusal.js";
import { Stage } from "./stage.js";
import { chooseLanguage, nextLanguage, say, switchLanguage, TEXTS } from "./texts.js";

const find = (id) => document.getElementById(id);
const photos = []; // {file, name, bitmap, unseen, thumbnail, item, width, height, detections, problem}
const view = { current: null, least: 0.5, hidden: new Set(), picked: null, hovered: null };
const show = { masks: true, boxes: false, labels: true };
let predictor = null;
let failure = null; // why there is no predictor
let queue = Promise.resolve();
let message = () => "";

const stage = new Stage(find("canvas"), hover, pick);

// What is shown

/** Return the objects of a photo that pass the filters, the highest score first. */
function choose(photo) {
  return (photo?.detections ?? []).filter(({ name, score }) => score >= view.least && !view.hidden.has(name));
}

function render() {
  const photo = view.current;
  const shown = choose(photo);
  if (!shown.includes(view.picked)) view.picked = null;
  if (!shown.includes(view.hovered)) view.hovered = null;
  const marked = view.hovered ?? view.picked;
  find("start").hidden = photos.length > 0;
  find("work").hidden = photos.length === 0;
  const decoded = photo?.bitmap || photo?.unseen;
  stage.setScene(photo?.width && decoded ? { ...photo, detections: shown, show, marked } : null);
  find("canvas").ariaLabel = describe(photo, shown);
  const scored = (photo?.detections ?? []).filter(({ score }) => score >= view.least);
  listClasses(find("class-list"), scored, view.hidden, toggleClass);
  find("classes").hidden = !photo?.detections?.length;
  listObjects(find("objects"), shown, marked, view.picked, { onPick: pick, onHover: hover });
  renderNotes(photo, shown);
  listPhotos(find("strip"), photos, photo, { onSelect: select, onRemove: removePhoto });
  find("least-score").textContent = `${Math.round(view.least * 100)}%`;
  for (const button of find("save").children) button.disabled = !photo?.detections || !decoded;
  find("save-cutouts").disabled = !shown.some(({ area }) => area > 0) || !photo.bitmap;
}

function describe(photo, shown) {
  if (!photo) return say("photos");
  const key = photo.detections ? "photo_of" : "photo_waiting";
  return say(key, { name: photo.name, shown: shown.length, count: photo.detections?.length });
}

function renderNotes(photo, shown) {
  const { problem = failure, detections } = photo ?? {};
  find("problem").hidden = !problem;
  find("problem").firstChild.textContent = problem ? explain(problem) : "";
  find("empty-list").textContent =
    detections && !shown.length ? say(detections.length ? "nothing_shown" : "nothing") : "";
  find("status").textContent = message();
}

function explain(problem) {
  return problem instanceof Refusal ? [say(problem.key), problem.detail].filter(Boolean).join(" ") : say("failed");
}

function tell(key, values) {
  message = () => (key ? say(key, values) : "");
  find("status").textContent = message();
}

// What a person does

/** Show a photo, or none. The pixels of the others are let go: a strip of large ones would fill a phone's memory. */
function select(photo) {
  for (const other of photos) if (other !== photo) dropPixels(other);
  Object.assign(view, { current: photo, picked: null, hovered: null });
  render();
  if (photo) showPixels(photo);
}

async function showPixels(photo) {
  if (photo.bitmap || photo.unseen) return;
  const bitmap = await createImageBitmap(photo.file).catch(() => null);
  if (photo !== view.current || photo.bitmap) {
    bitmap?.close(); // another photo was chosen meanwhile
    return;
  }
  Object.assign(photo, bitmap ? { bitmap, width: bitmap.width, height: bitmap.height } : { unseen: true });
  if (photo.unseen && photo.detections) tell("no_preview");
  render();
}

function dropPixels(photo) {
  photo.bitmap?.close();
  photo.bitmap = null;
}

function pick(detection) {
  view.picked = detection === view.picked ? null : detection;
  render();
}

function hover(detection) {
  if (detection === view.hovered) return;
  view.hovered = detection;
  render();
}

function toggleClass(name) {
  if (!view.hidden.delete(name)) view.hidden.add(name);
  render();
}

function removePhoto(photo) {
  const at = photos.indexOf(photo);
  photos.splice(at, 1);
  URL.revokeObjectURL(photo.thumbnail);
  if (photo === view.current) select(photos[Math.min(at, photos.length - 1)] ?? null);
  else render();
  dropPixels(photo);
  (view.current?.item.children[0] ?? document.querySelector("#start .choose")).focus();
}

function addFiles(files) {
  const added = files.map((file) => ({ file, name: file.name || "photo.png", thumbnail: URL.createObjectURL(file) }));
  photos.push(...added);
  if (added.length) select(added[0]);
  for (const photo of added) predictLater(photo);
}

// What is found

function predictLater(photo) {
  queue = queue.then(() => predictNow(photo)).catch((error) => console.error(error));
}

async function predictNow(photo) {
  if (!photos.includes(photo) || !predictor) return; // taken away meanwhile; or not ready: all are asked for once it is
  const model = find("model").value;
  if (photo.detections && photo.model === model) return; // asked for twice
  delete photo.problem;
  render();
  try {
    tell("computing", { name: photo.name });
    const found = await predictor.predict(photo.file, showProgress, model);
    const { width, height } = found;
    Object.assign(photo, { model, width, height, detections: prepareDetections(found.detections) });
    const count = photo.detections.length;
    tell(count === 1 ? "found_one" : "found", { name: photo.name, count });
    if (photo.unseen) tell("no_preview");
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    photo.problem = error;
    tell("");
    if (error.key === "needs_token") askForToken();
  }
  find("progress").hidden = true;
  render();
}

function showProgress({ stage: name, done, total }) {
  const bar = find("progress");
  bar.hidden = false;
  if (total) Object.assign(bar, { value: done, max: total });
  else bar.removeAttribute("value");
  if (name.startsWith("loading")) tell(name);
}

function predictAll() {
  for (const photo of photos) {
    photo.detections = null;
    predictLater(photo);
  }
  render();
}

async function start() {
  failure = null;
  try {
    predictor = await openPredictor(showProgress, sessionStorage.getItem("token") ?? "");
    find("model").replaceChildren(...predictor.models.map((name) => new Option(name)));
    find("model-choice").hidden = predictor.models.length < 2;
    tell("");
    predictAll();
  } catch (error) {
    if (error.key === "needs_token") askForToken();
    else failure = error;
    message = () => (failure ? explain(failure) : "");
  }
  find("progress").hidden = true;
  render();
}

function askForToken() {
  find("token-form").hidden = false;
  find("token").focus();
}

// What is saved

const savers = {
  "copy-json": async (photo, shown) => {
    const text = JSON.stringify(toJson(photo, shown));
    try {
      await navigator.clipboard.writeText(text);
      tell("copied");
    } catch {
      saveFile(`${stem(photo.name)}.json`, new Blob([text], { type: "application/json" }));
      tell("not_copied");
    }
  },
  "save-picture": async (photo, shown) => save(`${stem(photo.name)}-objects.png`, await drawPicture(photo, shown, show)),
  "save-coco": () => save("coco.json", toCoco(photos.filter((one) => one.detections).map((one) => [one, choose(one)]))),
  "save-labelme": (photo, shown) => save(`${stem(photo.name)}.json`, toLabelMe(photo, shown)),
  "save-cutouts": async (photo, shown) => {
    const { name, blob } = await cutOut(photo, view.picked ? [view.picked] : shown);
    save(name, blob);
  },
};

function save(name, content) {
  saveFile(name, content);
  tell("saved", { name });
}

// Where it begins

function labelLanguage() {
  find("language").textContent = TEXTS[nextLanguage()].language;
  find("language").lang = nextLanguage() === "zh" ? "zh-CN" : "en";
  find("privacy").textContent = say(uploads ? "uploads" : "stays");
}

function listen() {
  for (const button of document.querySelectorAll(".choose")) button.onclick = () => find("files").click();
  for (const button of document.querySelectorAll(".photograph")) button.onclick = () => find("camera").click();
  for (const input of [find("files"), find("camera")]) {
    input.onchange = () => {
      addFiles([...input.files]);
      input.value = "";
    };
  }
  document.addEventListener("paste", (event) => addFiles([...event.clipboardData.files]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("dragenter", () => document.body.classList.add("dragging"));
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    addFiles([...event.dataTransfer.files]);
  });
  find("zoom-in").onclick = () => stage.zoomBy(1.5);
  find("zoom-out").onclick = () => stage.zoomBy(1 / 1.5);
  find("fit").onclick = () => stage.fit();
  for (const part of Object.keys(show)) {
    find(`show-${part}`).onclick = (event) => {
      show[part] = !show[part];
      event.target.ariaPressed = String(show[part]);
      render();
    };
  }
  find("threshold").oninput = (event) => {
    view.least = Number(event.target.value);
    render();
  };
  find("all-classes").onclick = () => {
    view.hidden.clear();
    render();
  };
  find("no-classes").onclick = () => {
    for (const { name } of view.current.detections) view.hidden.add(name);
    render();
  };
  find("again").onclick = () => (predictor ? predictLater(view.current) : start());
  find("model").onchange = predictAll;
  for (const [id, act] of Object.entries(savers)) find(id).onclick = () => act(view.current, choose(view.current));
  find("language").onclick = () => {
    switchLanguage();
    labelLanguage();
    render();
  };
  find("token-form").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", find("token").value);
    find("token-form").hidden = true;
    start();
  };
}

chooseLanguage();
labelLanguage();
listen();
render();
start();
