/** Every text of the page, in each of its languages. `{name}` stands for a value. */

export const TEXTS = {
  en: {
    language: "English",
    uploads: "Photos are sent to this server only.",
    stays: "Photos stay in this browser: nothing is uploaded.",
    purpose: "Find the objects in your photos",
    drop: "Drop photos here, paste one, or",
    choose: "Choose photos",
    photograph: "Take a photo",
    add: "Add photos",
    model: "Model",
    photo_of: "{name}: objects shown: {shown} of {count}",
    photo_waiting: "{name}: not looked at yet",
    view: "View",
    zoom_in: "Zoom in",
    zoom_out: "Zoom out",
    fit: "Fit",
    masks: "Masks",
    boxes: "Boxes",
    labels: "Labels",
    threshold: "Least score",
    classes: "Classes",
    all: "All",
    none: "None",
    objects: "Objects",
    nothing: "Nothing was found.",
    nothing_shown: "All objects are filtered out: lower the least score, or show more classes.",
    save: "Save",
    copy_json: "Copy JSON",
    picture: "Picture",
    coco: "COCO JSON",
    labelme: "LabelMe",
    cutouts: "Cut-outs",
    copied: "Copied.",
    not_copied: "This browser does not let the page copy; the file was saved instead.",
    saved: "Saved {name}.",
    photos: "Photos",
    remove: "Remove {name}",
    needs_token: "This server needs a token.",
    token: "Token",
    send: "Use it",
    keys: "Keys: + and - zoom, 0 fits, arrows move. In the list, arrows go through the objects.",
    loading_network: "Loading the network",
    loading_runtime: "Loading the runtime",
    computing: "Looking for objects in {name}",
    found: "{name}: {count} objects found",
    found_one: "{name}: 1 object found",
    refused: "The photo was refused.",
    too_large: "The photo has too many bytes for this server.",
    busy: "The server has too much to do. Try again in a moment.",
    unreachable: "The server cannot be reached. Check that it runs, then try again.",
    no_network: "The network could not be loaded. Reload the page to try again.",
    no_photo: "This file is no photo that the browser can read.",
    failed: "The network failed on this photo.",
    no_preview: "This browser cannot show this kind of photo; its objects are drawn on grey.",
    again: "Try again",
  },
  zh: {
    language: "中文",
    uploads: "照片只会发送到这台服务器。",
    stays: "照片留在浏览器中，不会上传。",
    purpose: "找出照片中的物体",
    drop: "将照片拖到这里、粘贴照片，或",
    choose: "选择照片",
    photograph: "拍照",
    add: "添加照片",
    model: "模型",
    photo_of: "{name}：显示 {count} 个物体中的 {shown} 个",
    photo_waiting: "{name}：尚未识别",
    view: "视图",
    zoom_in: "放大",
    zoom_out: "缩小",
    fit: "适应窗口",
    masks: "掩码",
    boxes: "边框",
    labels: "标签",
    threshold: "最低得分",
    classes: "类别",
    all: "全选",
    none: "全不选",
    objects: "物体",
    nothing: "没有找到物体。",
    nothing_shown: "所有物体都被过滤掉了：请降低最低得分，或显示更多类别。",
    save: "保存",
    copy_json: "复制 JSON",
    picture: "图片",
    coco: "COCO JSON",
    labelme: "LabelMe",
    cutouts: "抠图",
    copied: "已复制。",
    not_copied: "浏览器不允许复制，已改为保存文件。",
    saved: "已保存 {name}。",
    photos: "照片",
    remove: "移除 {name}",
    needs_token: "这台服务器需要令牌。",
    token: "令牌",
    send: "使用",
    keys: "按键：+ 和 - 缩放，0 适应窗口，方向键移动。在列表中用方向键逐个查看物体。",
    loading_network: "正在加载网络",
    loading_runtime: "正在加载运行库",
    computing: "正在识别 {name}",
    found: "{name}：找到 {count} 个物体",
    found_one: "{name}：找到 1 个物体",
    refused: "照片被拒绝。",
    too_large: "照片的字节数超过了服务器的限制。",
    busy: "服务器繁忙，请稍后再试。",
    unreachable: "无法连接服务器。请确认它正在运行，然后重试。",
    no_network: "无法加载网络。请刷新页面重试。",
    no_photo: "浏览器无法将此文件读取为照片。",
    failed: "网络处理这张照片时出错。",
    no_preview: "浏览器无法显示这种照片，物体画在灰色背景上。",
    again: "重试",
  },
};

let language = "en";

/** Choose the language: the one kept from an earlier visit, else the browser's. */
export function chooseLanguage() {
  const kept = localStorage.getItem("language");
  setLanguage(kept in TEXTS ? kept : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
}

/** Switch to the other language and keep the choice. */
export function switchLanguage() {
  setLanguage(nextLanguage());
  localStorage.setItem("language", language);
}

export function nextLanguage() {
  return language === "en" ? "zh" : "en";
}

function setLanguage(name) {
  language = name;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.ariaLabel = say(element.dataset.label);
    element.title = element.ariaLabel;
  }
}

/** Return the text of a key, with its values. */
export function say(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
