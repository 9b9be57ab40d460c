() => {
  const { say } = window.hpinet; // in the visitor's language
  // The language is chosen in the masthead, and in the link from then on.
  const language = document.getElementById("language");
  if (language) {
    language.value = window.hpinet.language;
    language.addEventListener("change", () => {
      const url = new URL(window.location);
      url.searchParams.set("lang", language.value);
      window.location = url;
    });
  }
  // Gradio names buttons otherwise than they read: whoever speaks to the page says what it shows.
  const OF_GRADIO = {
    "Fullscreen": say("Fullscreen"), "Remove Image": say("Remove Image"), "Clear": say("Clear"), "Copy": say("Copy"),
    "Upload file": say("Upload file"), "common.upload": say("Upload file"),
    "Click to upload or drop files": say("Upload file"), "Remove this file": say("Remove this file"), "File upload": say("File upload"), "Download": say("Download"),
    "Paste from clipboard": say("Paste from clipboard"), "More tabs": say("More tabs"),
    "Reset to default value": say("Reset to default value"),
    "Gradio footer navigation": say("Gradio footer navigation"),
  };
  const rename = () => {
    for (const element of document.querySelectorAll("[aria-label]:not([data-named])")) {
      const ours = OF_GRADIO[element.ariaLabel];
      if (!ours || ours === element.ariaLabel) continue;
      element.dataset.named = element.ariaLabel;
      element.ariaLabel = ours;
      if (element.title) element.title = ours;
    }
    for (const button of document.querySelectorAll("button.thumbnail-item[aria-label]")) {
      const caption = button.querySelector(".caption-label")?.textContent.trim();
      if (caption && button.ariaLabel !== caption) button.ariaLabel = caption;
    }
    for (const button of document.querySelectorAll("button.upload-container[aria-label]"))
      if (button.textContent.trim()) button.removeAttribute("aria-label");
  };
  // A ring on the spot of a picture that two fields name, while the fields can be seen.
  const mark = () => {
    for (const block of document.querySelectorAll(".spotted")) {
      const image = block.querySelector("img");
      const [x, y] = ["x", "y"].map((axis) => document.querySelector(`#${block.id}-${axis} input`));
      const within = (field, size) => field?.value && field.value >= 0 && field.value < size;
      const inside = within(x, image?.naturalWidth) && within(y, image?.naturalHeight);
      let ring = block.querySelector(":scope > .spot");
      if (!inside || !x.offsetParent) {
        ring?.remove();
        continue;
      }
      if (!ring) {
        ring = document.createElement("div");
        ring.className = "spot";
        block.append(ring);
      }
      const outer = block.getBoundingClientRect(), inner = image.getBoundingClientRect();
      // As Gradio does for clicks: small pictures are not enlarged.
      const zoom = Math.min(inner.width / image.naturalWidth, inner.height / image.naturalHeight, 1);
      const at = (field, start, room, natural) => start + (room - zoom * natural) / 2 + zoom * (+field.value + 0.5);
      ring.style.left = `${at(x, inner.left - outer.left - block.clientLeft, inner.width, image.naturalWidth)}px`;
      ring.style.top = `${at(y, inner.top - outer.top - block.clientTop, inner.height, image.naturalHeight)}px`;
    }
  };
  window.markSpots = mark;
  window.addEventListener("resize", mark);
  document.addEventListener("load", mark, true); // of pictures
  // What was chosen for a batch is seen at once: drawn here, small, from the files themselves.
  const MOST_THUMBS = 24, THUMB_PIXELS = 64;
  const chosen = new Map(); // by name
  document.addEventListener("change", ({ target }) => {
    if (target.type === "file" && target.closest("#batch-files, #batch-folder"))
      for (const file of target.files) chosen.set(file.name, file);
  }, true);
  const thumb = async (file) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: THUMB_PIXELS, height: THUMB_PIXELS, role: "img", ariaLabel: file.name, title: file.name });
    const context = canvas.getContext("2d");
    try {
      const bitmap = await createImageBitmap(file);
      const by = Math.max(THUMB_PIXELS / bitmap.width, THUMB_PIXELS / bitmap.height);
      const [width, height] = [bitmap.width * by, bitmap.height * by];
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, (THUMB_PIXELS - width) / 2, (THUMB_PIXELS - height) / 2, width, height);
      bitmap.close();
    } catch { // a kind that this browser does not show
      Object.assign(context, { font: "600 15px sans-serif", textAlign: "center", fillStyle: "#7a8794" });
      context.fillText(file.name.split(".").pop().slice(0, 5).toUpperCase(), THUMB_PIXELS / 2, THUMB_PIXELS / 2 + 5);
    }
    return canvas;
  };
  let thumbsShown = "";
  const thumbs = async () => {
    const place = document.querySelector("#batch-thumbs .thumbs");
    if (!place) return;
    const names = [...document.querySelectorAll("#batch-files td.filename, #batch-folder td.filename")]
      .map((cell) => cell.ariaLabel).filter((name) => chosen.has(name)).slice(0, MOST_THUMBS);
    const key = names.join("/");
    if (key === thumbsShown) return;
    thumbsShown = key;
    place.replaceChildren();
    for (const name of names) { // one after the other: large pictures take their time and memory
      const small = await thumb(chosen.get(name));
      if (key !== thumbsShown) return;
      place.append(small);
    }
  };
  // Radio buttons that belong together are one stop of the tab key, and arrows go through them; what cannot be chosen
  // is marked by the server. Pictures say what they show.
  let groups = 0;
  const tidy = () => {
    for (const group of document.querySelectorAll("fieldset"))
      for (const radio of group.querySelectorAll("input[type=radio]")) {
        group.dataset.choice ??= `choice-${++groups}`; // not all have an id
        if (radio.name !== group.dataset.choice) radio.name = group.dataset.choice;
        const impossible = radio.closest("label").textContent.includes("✕");
        if (radio.disabled !== impossible) radio.disabled = impossible;
        radio.closest("label").classList.toggle("impossible", impossible);
      }
    for (const image of document.querySelectorAll(".spotted img, #measure-picture img"))
      if (!image.alt) image.alt = say("Your picture");
  };
  // An earlier result opened during a run would stand there until the run's own takes its place.
  const rest = () => {
    const results = document.querySelector("#results"), stop = document.querySelector("#stop");
    if (results?.querySelector("button.thumbnail-item")) document.querySelector(".masthead").classList.add("done");
    if (results && stop && results.inert === stop.disabled) results.inert = !stop.disabled;
  };
  // Whoever listens to the page hears what happens: results, errors, and each quarter of the way.
  const percent = (value) => say("{zoom:n} %", { zoom: value });
  const voice = Object.assign(document.createElement("div"), { id: "voice", className: "unseen" });
  voice.setAttribute("aria-live", "polite");
  document.body.append(voice);
  const heard = new Map();
  const saidBy = (place) => {
    const bar = place.querySelector("[role=progressbar]");
    if (bar) {
      const quarter = Math.floor(+bar.ariaValueNow / 25);
      return quarter && percent(25 * quarter);
    }
    const told = place.querySelector(".html-container:not(.pending)");
    if (place.id !== "crops") return told?.innerText.trim().replace(/\s+/g, " ").slice(0, 200);
    const names = [...told?.querySelectorAll("figcaption") ?? []].map((caption) => caption.textContent).join(", ");
    return names && say("The spot, enlarged by: {names}", { names });
  };
  const speak = () => {
    for (const place of document.querySelectorAll(".block.status, #why-facts, #crops")) {
      if (!place.offsetParent) continue;
      const isAnswer = !place.matches(".status"), words = saidBy(place);
      if (isAnswer && !words) heard.delete(place.id); // the next one is news, though it should say the same
      if (!words || heard.get(place.id) === words) continue;
      if (isAnswer || heard.has(place.id)) voice.textContent = words; // what a status says from the start is no news
      heard.set(place.id, words);
    }
  };
  // Gradio writes shares as English does, and large ones with a decimal that only flickers.
  const shares = () => {
    for (const level of document.querySelectorAll(".progress-level-inner"))
      for (const node of level.childNodes) {
        const share = node.nodeType === Node.TEXT_NODE && /^\s*(\d+(?:\.\d+)?)%\s*$/.exec(node.data);
        const words = share && ` ${percent(share[1] < 10 ? share[1] : Math.round(share[1]))}`;
        if (words && node.data !== words) node.data = words;
      }
  };
  // On a phone the buttons stay below the thumb while the page scrolls: how far it is, and what went wrong, shows there.
  const mirror = () => {
    for (const actions of document.querySelectorAll(".actions")) {
      const status = document.querySelector(`#${actions.querySelector("button[id$=run]").id.replace(/run$/, "status")}`);
      let told = actions.querySelector(".told");
      if (!told) {
        told = Object.assign(document.createElement("div"), { className: "told" });
        told.ariaHidden = true; // the status itself is read
        actions.prepend(told);
      }
      const level = status?.querySelector(".progress-level-inner, .progress-text:only-child");
      const trouble = status?.querySelector(".html-container:not(.pending) .trouble");
      const words = (level ?? trouble)?.innerText.trim().replace(/\s+/g, " ") ?? "";
      if (told.textContent !== words) told.textContent = words;
      const share = `${status?.querySelector("[role=progressbar]")?.ariaValueNow ?? 0}%`;
      if (told.style.getPropertyValue("--share") !== share) told.style.setProperty("--share", share);
    }
  };
  // Files that are pasted, or dropped anywhere, go where the visible tab takes pictures; several at once to Batch.
  const seen = (selector) => [...document.querySelectorAll(selector)].find((element) => element.offsetParent);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  const waitFor = async (find, most = 60) => {
    for (let tries = 0; tries < most; tries++) {
      const found = find();
      if (found) return found;
      await pause();
    }
  };
  const FOR_FILES = "[data-testid=source-select] button:is([aria-label='Upload file'], [data-named='Upload file'])";
  // One after the other: while files are on their way to a place, it takes no others.
  const queues = new Map(); // by place
  const give = (place, ...what) => {
    const begin = () => bringIn(place, ...what), before = queues.get(place) ?? Promise.resolve();
    const given = before.then(begin, begin);
    queues.set(place, given);
    return given;
  };
  const bringIn = async (place, files, unread = 0) => {
    const input = () => document.querySelector(`${place} input[type=file]`);
    const isUploading = () => document.querySelector(`${place} .uploading`);
    const isOver = async () => { while (isUploading()) await pause(); };
    await isOver();
    if (!input()) { // once its button for the clipboard was used, Gradio takes no files until it is asked for some
      document.querySelector(`${place} ${FOR_FILES}`)?.click();
      await pause();
      await isOver();
      if (!await waitFor(input)) return;
    }
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input().files = transfer.files;
    input().dispatchEvent(Object.assign(new Event("change", { bubbles: true }), { unread }));
    await waitFor(isUploading, 10); // it begins a little later; the next ones wait for its end
  };
  const bring = (tab) => document.querySelector(`[role=tab][data-tab-id=${tab}]`)?.click();
  // The files below an entry of what was dropped; null for what cannot be read, which would fail the whole upload.
  const below = async (entry) => {
    const found = [];
    try {
      if (entry.isFile) {
        const file = await new Promise((done, fail) => entry.file(done, fail));
        await file.slice(0, 1).arrayBuffer();
        return [window.withPath(file, entry.fullPath.slice(1))];
      }
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, fail) => reader.readEntries(done, fail)); // about a hundred at a time
        if (!some.length) return found;
        for (const each of some) found.push(...await below(each));
      }
    } catch {
      return [...found, null];
    }
  };
  const takeFolders = async (entries) => {
    bring("batch");
    const isOpen = () => {
      document.querySelector("#batch-tree button.label-wrap:not(.open)")?.click(); // again, if it came too early
      return seen("#batch-folder");
    };
    if (!await waitFor(isOpen)) return;
    document.querySelector("#batch-folder").scrollIntoView({ block: "center" });
    const found = (await Promise.all(entries.map(below))).flat(), files = found.filter(Boolean);
    if (found.length) await give("#batch-folder", files, found.length - files.length);
  };
  const take = async (files) => {
    const isBatch = files.length > 1 || files.some(({ name }) => /\.zip$/i.test(name));
    const places = ["#batch-files", "#picture", "#measure-picture", "#look-picture"];
    const wanted = isBatch ? places.slice(0, 1) : places;
    if (!wanted.some(seen)) bring(isBatch ? "batch" : "upscale");
    const place = await waitFor(() => wanted.find(seen));
    if (place) await give(place, files);
  };
  const UNTYPED = "[type=file], [type=radio], [type=checkbox], [type=range]";
  const TYPED_INTO = `input:not(${UNTYPED}), textarea, [contenteditable=true]`;
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (!files.length || event.target.closest?.(TYPED_INTO)) return;
    event.preventDefault();
    event.stopPropagation();
    take(files);
  }, true);
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  let over = 0;
  const hover = (change) => {
    over = Math.max(0, over + change);
    document.body.classList.toggle("dropping", over > 0);
  };
  document.addEventListener("dragenter", (event) => { if (carries(event)) hover(1); });
  document.addEventListener("dragleave", (event) => { if (carries(event)) hover(-1); });
  document.addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    hover(-over);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [...event.dataTransfer.files];
    if (entries.some(({ isDirectory }) => isDirectory)) takeFolders(entries);
    else if (files.length) take(files);
  }, true);
  // Gradio's button on a picture that is there clears it: this one asks for another picture, and changes nothing before.
  document.addEventListener("click", (event) => {
    const block = event.target.closest?.(FOR_FILES)?.closest(".block"), input = block?.querySelector("input[type=file]");
    if (!input || !block.querySelector(".image-frame img")) return;
    event.preventDefault();
    event.stopPropagation();
    input.click();
  }, true);
  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; for (const each of [rename, mark, tidy, rest, thumbs, speak, shares, mirror]) each(); });
  }).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["aria-valuenow", "disabled"] });
  rename();
  tidy();
}
