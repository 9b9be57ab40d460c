// The viewer of a result: its pixels, with those of the picture before beside them. Tiles come when they are seen.
(() => {
  const { say } = window.hpinet; // in the visitor's language
  const SIDE = 512; // of a tile
  const MOST_ZOOM = 32, NOTCH = 0.0022, STEP = 1.4, PAN = 60; // pixels
  const TAP_PIXELS = 8, TAP_MS = 280, RETRY_MS = 4000;
  const KEPT = 140, AT_ONCE = 6; // tiles
  const STYLE = "__STYLE__";
  const places = new Map(); // where the visitor was, by picture: another model's result is shown there too
  let chosen = "bicubic"; // what results are compared with

  const NAMES = {
    bicubic: say("Before: bicubic"), nearest: say("Before: nearest"), upload: say("Before: your picture, at its own size"),
  };
  const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));
  const percent = (zoom) => say("{zoom:n} %", { zoom: zoom < 0.1 ? (100 * zoom).toFixed(1) : Math.round(100 * zoom) });

  const MARKUP = `<style>${STYLE}</style>
<div class="stage" tabindex="0" role="application">
  <canvas class="picture" aria-hidden="true"></canvas>
  <span class="name before"></span><span class="name after"></span>
  <div class="border" role="slider" tabindex="0" aria-label="${say("Border between before and after")}"
    aria-valuemin="0" aria-valuemax="100"><span></span></div>
  <canvas class="overview" aria-hidden="true"></canvas>
  <div class="mark" hidden></div>
  <div class="menu" role="group" aria-label="${say("At this spot")}" hidden>
    <button type="button" data-do="compare">${say("Compare models here")}</button>
    <button type="button" data-do="explain">${say("Why?")}</button>
    <button type="button" data-do="close" aria-label="${say("Close")}">✕</button>
  </div>
  <p class="trouble" role="status"></p>
</div>
<div class="bar" role="group" aria-label="${say("Viewer")}">
  <span class="set">
    <button type="button" data-do="out" aria-label="${say("Zoom out")}">−</button>
    <output class="zoom" aria-label="${say("Zoom")}"></output>
    <button type="button" data-do="in" aria-label="${say("Zoom in")}">+</button>
  </span>
  <span class="set">
    <button type="button" data-do="fit" title="${say("The whole picture")}">${say("Fit")}</button>
    <button type="button" data-do="one" title="${say("A pixel of the result is a pixel of the screen")}">${percent(1)}</button>
    <button type="button" data-do="two">${percent(2)}</button>
  </span>
  <label class="choice">${say("Before")} <select aria-label="${say("Before")}">
    <option value="bicubic">${say("Bicubic")}</option>
    <option value="nearest">${say("Nearest")}</option>
    <option value="upload">${say("Your picture, own size")}</option>
  </select></label>
  <button type="button" class="peek" title="${say("Shows the picture before for as long as it is held")}">${say("Hold: before")}</button>
  <button type="button" data-do="menu" title="${say("What to do with the spot in the middle, or click one")}">${say("This spot…")}</button>
  <button type="button" data-do="full">${say("Full screen")}</button>
  <button type="button" data-do="take" class="take">${say("Upscale what I see")}</button>
</div>`;

  // One picture in all its reductions, or one of what it is compared with.
  class Layer {
    // `view` is the name of another view, if it is not of the viewer's own.
    constructor(viewer, name, width, height, view = "") {
      Object.assign(this, { viewer, name, width, height, view });
      this.last = Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / SIDE)));
    }

    size(level) {
      return [Math.ceil(this.width / 2 ** level), Math.ceil(this.height / 2 ** level)];
    }

    key(level, column, row) {
      return `${this.view || this.viewer.view.name}/${this.name}/${level}/${column}/${row}`;
    }

    // Draws into a rectangle of device pixels what of the layer lies there; `left` and `top` are its own corner.
    draw(context, clip, left, top, zoom) {
      const level = clamp(Math.floor(1e-6 - Math.log2(zoom)), 0, this.last);
      const scale = zoom * 2 ** level; // device pixels for each of the level's
      const right = left + this.width * zoom, bottom = top + this.height * zoom;
      const shown = [
        Math.max(clip[0], left), Math.max(clip[1], top), Math.min(clip[2], right), Math.min(clip[3], bottom),
      ];
      if (shown[0] >= shown[2] || shown[1] >= shown[3]) return;
      context.save();
      context.beginPath();
      context.rect(
        Math.round(shown[0]), Math.round(shown[1]),
        Math.round(shown[2]) - Math.round(shown[0]), Math.round(shown[3]) - Math.round(shown[1]),
      );
      context.clip();
      if (this.viewer.view.alpha) {
        context.fillStyle = this.viewer.board(context);
        context.fill();
      }
      const [width, height] = this.size(level);
      const first = (at, corner) => Math.floor((at - corner) / scale / SIDE);
      const lastOf = (at, corner, length) => Math.min(first(at - 1e-3, corner), Math.ceil(length / SIDE) - 1);
      for (let row = Math.max(0, first(shown[1], top)); row <= lastOf(shown[3], top, height); row++)
        for (let column = Math.max(0, first(shown[0], left)); column <= lastOf(shown[2], left, width); column++)
          this.drawTile(context, level, column, row, left, top, scale);
      context.restore();
    }

    drawTile(context, level, column, row, left, top, scale) {
      const [width, height] = this.size(level);
      const x = column * SIDE, y = row * SIDE;
      const w = Math.min(SIDE, width - x), h = Math.min(SIDE, height - y);
      const x0 = Math.round(left + x * scale), x1 = Math.round(left + (x + w) * scale);
      const y0 = Math.round(top + y * scale), y1 = Math.round(top + (y + h) * scale);
      const own = this.viewer.tiles.get(this.key(level, column, row), true);
      if (own) {
        context.imageSmoothingEnabled = scale < 0.999;
        context.drawImage(own, x0, y0, x1 - x0, y1 - y0);
        return;
      }
      const middle = [(x0 + x1) / 2, (y0 + y1) / 2];
      this.viewer.tiles.want(this.key(level, column, row), middle);
      for (let up = level + 1; up <= this.last; up++) { // until it is here, a coarser one
        const by = 2 ** (up - level), c = Math.floor(column / by), r = Math.floor(row / by);
        const coarse = this.viewer.tiles.get(this.key(up, c, r), false);
        if (!coarse) continue;
        context.imageSmoothingEnabled = true;
        const sx = x / by - c * SIDE, sy = y / by - r * SIDE;
        context.drawImage(coarse, sx, sy, Math.min(w / by, coarse.width - sx), Math.min(h / by, coarse.height - sy),
          x0, y0, x1 - x0, y1 - y0);
        return;
      }
    }
  }

  const viewOf = (key) => key.split("/", 1)[0];

  // The tiles that are here, and the few that are on their way: always those that the latest drawing missed.
  class Tiles {
    constructor(changed) {
      Object.assign(this, { changed, here: new Map(), coming: new Map(), failed: new Map(), wanted: [], seen: 0 });
      this.bytes = 0;
      this.gone = new Set(); // names of views that the server has no more
    }

    // Whether something that would be seen is gone for good.
    get isGone() {
      return this.wanted.some(({ key }) => this.gone.has(viewOf(key)));
    }

    get(key, isUse) {
      const tile = this.here.get(key);
      this.seen += isUse;
      if (tile && isUse) {
        this.here.delete(key);
        this.here.set(key, tile); // the latest used is the last
      }
      return tile;
    }

    begin() {
      this.wanted = [];
      this.seen = 0; // tiles in this drawing
    }

    want(key, [x, y]) {
      if (this.wanted.every((one) => one.key !== key)) this.wanted.push({ key, x, y });
    }

    // After a drawing around a place: fetches what it missed, the middle first.
    fetch(x, y) {
      const now = performance.now();
      const missed = this.wanted
        .filter(({ key }) => !this.coming.has(key) && !this.gone.has(viewOf(key)) && !(now - this.failed.get(key) < RETRY_MS))
        .sort((one, two) => Math.hypot(one.x - x, one.y - y) - Math.hypot(two.x - x, two.y - y));
      while (missed.length && this.coming.size < AT_ONCE) this.load(missed.shift().key);
    }

    async load(key) {
      const stop = new AbortController();
      this.coming.set(key, stop);
      try {
        const answer = await fetch(new URL(`tiles/${key}`, document.baseURI), {
          signal: stop.signal, credentials: "same-origin",
        });
        if (!answer.ok) throw new Error(String(answer.status));
        const file = await answer.blob();
        const tile = await createImageBitmap(file);
        this.bytes += file.size;
        this.here.set(key, tile);
        for (const [old, bitmap] of this.here) {
          if (this.here.size <= Math.max(KEPT, this.seen + AT_ONCE)) break; // none that is seen goes
          this.here.delete(old);
          bitmap.close();
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error.message === "404") this.gone.add(viewOf(key));
        this.failed.set(key, performance.now());
        setTimeout(this.changed, RETRY_MS); // which tries again
      } finally {
        this.coming.delete(key);
      }
      this.changed();
    }

    close() {
      for (const stop of this.coming.values()) stop.abort();
      for (const bitmap of this.here.values()) bitmap.close();
      this.here.clear();
    }
  }

  class Viewer extends HTMLElement {
    static observedAttributes = ["data-view"];

    connectedCallback() {
      if (!this.shadowRoot) this.build();
      this.resized = new ResizeObserver(() => this.fitStage());
      this.resized.observe(this.stage);
      this.open();
    }

    disconnectedCallback() {
      this.resized?.disconnect();
      clearTimeout(this.tapping);
      this.tiles?.close();
      this.tiles = null;
    }

    attributeChangedCallback() {
      if (this.isConnected && this.shadowRoot) this.open();
    }

    build() {
      this.attachShadow({ mode: "open" }).innerHTML = MARKUP;
      const find = (selector) => this.shadowRoot.querySelector(selector);
      Object.assign(this, {
        stage: find(".stage"), canvas: find(".picture"), overview: find(".overview"), border: find(".border"),
        menu: find(".menu"), mark: find(".mark"), select: find("select"), peekButton: find(".peek"),
      });
      this.pointers = new Map();
      this.shadowRoot.addEventListener("click", (event) => this.act(event.target.closest("[data-do]")?.dataset.do));
      this.select.addEventListener("change", () => {
        chosen = this.select.value;
        this.nameSides();
        this.redraw();
      });
      this.listenToPeeking();
      this.listenToBorder();
      this.listenToStage();
      this.listenToOverview();
      this.addEventListener("fullscreenchange", () => this.fitStage());
    }

    open() {
      const told = this.getAttribute("data-view");
      if (!told) return;
      this.tiles?.close();
      this.view = JSON.parse(told);
      const { result, upload, picture, spot } = this.view;
      this.tiles = new Tiles(() => this.redraw());
      this.toggleAttribute("uploadalone", Boolean(this.view.isUpload));
      this.menu.querySelector("[data-do=explain]").hidden = Boolean(this.view.corner); // a piece alone is no result yet
      this.after = new Layer(this, this.view.isUpload ? "upload" : "result", ...result);
      this.befores = {
        bicubic: new Layer(this, "bicubic", ...result),
        nearest: new Layer(this, "nearest", ...result),
        upload: new Layer(this, "upload", ...upload),
      };
      for (const option of this.select.querySelectorAll(".other")) option.remove();
      for (const { name, size, model } of this.view.others ?? []) {
        this.befores[name] = new Layer(this, "result", ...size, name);
        this.select.append(Object.assign(new Option(model, name), { className: "other" }));
      }
      if (!this.befores[chosen]) chosen = "bicubic";
      this.isShown = false;
      // A share of width and height is in the middle; zoom 1 shows a pixel of the result in a pixel of the page.
      this.place = places.get(picture) ??
        { x: spot[0], y: spot[1], zoom: this.view.isUpload ? 0 : 1, border: 0.5 }; // 0: as small as it may be
      places.delete(picture);
      places.set(picture, this.place);
      if (places.size > 30) places.delete(places.keys().next().value);
      this.select.value = chosen;
      const size = result.join("×");
      this.stage.ariaLabel = this.view.isUpload ? say("Your picture, {size} pixels.", { size }) : say("The result, {size} pixels.", { size });
      this.stage.ariaDescription = say("Arrow keys move it, plus and minus zoom, 0 fits it, 1 and 2 show 100 and 200 percent, Space shows the picture before, Enter offers more at the middle.");
      this.closeMenu();
      this.nameSides();
      this.fitStage();
    }

    nameSides() {
      const [before, after] = this.shadowRoot.querySelectorAll(".name");
      const other = this.view.others?.find(({ name }) => name === chosen);
      before.textContent = other ? other.model : NAMES[chosen];
      after.textContent = this.dataset.model;
    }

    fitStage() {
      if (!this.view) return;
      const isFull = document.fullscreenElement === this || this.hasAttribute("filling");
      const room = isFull ? "" : `${clamp(this.view.result[1], 240, Math.min(560, innerHeight * 0.6))}px`;
      if (this.stage.style.height !== room) this.stage.style.height = room;
      this.redraw();
    }

    get size() {
      return [this.stage.clientWidth, this.stage.clientHeight];
    }

    get fitting() {
      const [width, height] = this.size, [w, h] = this.view.result;
      return Math.min(width / w, height / h, 1); // small pictures are not enlarged unasked
    }

    // ------------------------------------------------------------------------------------------------- drawing

    redraw() {
      if (this.due) return;
      this.due = true;
      requestAnimationFrame(() => {
        this.due = false;
        if (this.tiles) this.draw();
      });
    }

    settle() {
      const [width, height] = this.size, [w, h] = this.view.result, place = this.place;
      place.zoom = clamp(place.zoom, this.fitting, MOST_ZOOM);
      for (const [axis, room, length] of [["x", width, w], ["y", height, h]]) {
        const half = room / 2 / (length * place.zoom); // of what is seen
        place[axis] = half >= 0.5 ? 0.5 : clamp(place[axis], half, 1 - half);
      }
    }

    draw() {
      const [width, height] = this.size;
      if (!width || !height) return;
      this.settle();
      const dots = window.devicePixelRatio || 1, { canvas, place } = this;
      const w = Math.round(width * dots), h = Math.round(height * dots);
      if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
      const context = canvas.getContext("2d", { alpha: true });
      context.clearRect(0, 0, w, h);
      const border = this.view.isUpload ? 0 : Math.round((this.isPeeking ? 1 : place.border) * w);
      this.tiles.begin();
      const draw = (layer, from, to) => {
        // Another result fills the same place, whatever its size; the upload shows its own pixels.
        const zoom = place.zoom * dots * (layer.view ? this.after.width / layer.width : 1);
        const left = Math.round(w / 2 - place.x * layer.width * zoom), top = Math.round(h / 2 - place.y * layer.height * zoom);
        if (from < to) layer.draw(context, [from, 0, to, h], left, top, zoom);
      };
      draw(this.befores[chosen], 0, border);
      draw(this.after, border, w);
      this.drawOverview(dots);
      this.tiles.fetch(w / 2, h / 2);
      this.tell(width, height);
    }

    drawOverview(dots) {
      const [width, height] = this.size, { overview, after, place } = this;
      const isWhole = after.width * place.zoom <= width + 1 && after.height * place.zoom <= height + 1;
      overview.hidden = isWhole;
      const by = Math.min(Math.min(132, width * 0.3) / after.width, 100 / after.height);
      const w = Math.max(8, Math.round(after.width * by)), h = Math.max(8, Math.round(after.height * by));
      const tile = this.tiles.get(after.key(after.last, 0, 0), true);
      if (!tile) this.tiles.want(after.key(after.last, 0, 0), [0, 0]);
      if (isWhole) return;
      overview.style.width = `${w}px`;
      overview.style.height = `${h}px`;
      Object.assign(overview, { width: w * dots, height: h * dots });
      const context = overview.getContext("2d");
      context.scale(dots, dots);
      if (this.view.alpha) {
        context.fillStyle = this.board(context);
        context.fillRect(0, 0, w, h);
      }
      if (tile) context.drawImage(tile, 0, 0, w, h);
      const fw = Math.min(w, w * width / (after.width * place.zoom)), fh = Math.min(h, h * height / (after.height * place.zoom));
      const frame = [place.x * w - fw / 2, place.y * h - fh / 2, fw, fh];
      for (const [colour, line] of [["#11161b", 4], ["#fff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.strokeRect(
          clamp(frame[0], 2, w - 2 - fw), clamp(frame[1], 2, h - 2 - fh), Math.min(fw, w - 4), Math.min(fh, h - 4),
        );
      }
    }

    // What is transparent shows squares, the same in both themes: ink of any colour is seen on one of them.
    board(context) {
      if (!this.squares) {
        const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
        const paint = canvas.getContext("2d");
        paint.fillStyle = "#fff";
        paint.fillRect(0, 0, 16, 16);
        paint.fillStyle = "#c9ced4";
        paint.fillRect(0, 0, 8, 8);
        paint.fillRect(8, 8, 8, 8);
        this.squares = canvas;
      }
      return context.createPattern(this.squares, "repeat");
    }

    tell(width, height) {
      const { place, border } = this, at = Math.round(100 * place.border);
      border.style.left = `${100 * place.border}%`;
      border.hidden = this.isPeeking;
      border.ariaValueNow = String(at);
      border.ariaValueText = say("{before:n} % before, {after:n} % after", { before: at, after: 100 - at });
      const [before, after] = this.shadowRoot.querySelectorAll(".name");
      before.hidden = !this.isPeeking && place.border * width < 24;
      before.style.maxWidth = `${this.isPeeking ? width - 16 : Math.max(0, place.border * width - 16)}px`;
      after.hidden = this.isPeeking || (1 - place.border) * width < 24;
      after.style.maxWidth = `${Math.max(0, (1 - place.border) * width - 16)}px`;
      const zoom = this.shadowRoot.querySelector(".zoom");
      if (zoom.value !== percent(place.zoom)) zoom.value = percent(place.zoom);
      const pressed = { fit: place.zoom === this.fitting, one: place.zoom === 1, two: place.zoom === 2 };
      for (const [name, is] of Object.entries(pressed))
        this.shadowRoot.querySelector(`.bar [data-do=${name}]`).ariaPressed = String(is);
      if (this.marked) {
        const [x, y] = this.onStage(this.marked);
        this.mark.style.left = `${x}px`;
        this.mark.style.top = `${y}px`;
        const { offsetWidth: w, offsetHeight: h } = this.menu;
        this.menu.style.left = `${clamp(x - w / 2, 4, width - w - 4)}px`;
        this.menu.style.top = `${clamp(y + 18 + h > height ? y - 18 - h : y + 18, 4, height - h - 4)}px`;
      }
      this.shadowRoot.querySelector(".trouble").textContent =
        this.tiles.isGone ? say("The picture is gone from the server by now: enlarge it again.") : "";
      const isShown = !this.tiles.wanted.length && !this.tiles.coming.size;
      if (isShown && !this.isShown) this.dispatchEvent(new CustomEvent("hpinet-shown", { bubbles: true }));
      this.isShown = isShown;
      this.toggleAttribute("shown", isShown);
    }

    // -------------------------------------------------------------------------------------------------- moving

    onStage({ x, y }) {
      const [width, height] = this.size, [w, h] = this.view.result, place = this.place;
      return [width / 2 + (x - place.x) * w * place.zoom, height / 2 + (y - place.y) * h * place.zoom];
    }

    // The share of the picture's width and height at a place of the stage.
    under(x, y) {
      const [width, height] = this.size, [w, h] = this.view.result, place = this.place;
      return {
        x: place.x + (x - width / 2) / (w * place.zoom), y: place.y + (y - height / 2) / (h * place.zoom),
      };
    }

    move(dx, dy) {
      const [w, h] = this.view.result;
      this.place.x -= dx / (w * this.place.zoom);
      this.place.y -= dy / (h * this.place.zoom);
      this.settle();
      this.redraw();
    }

    zoomTo(zoom, x = this.size[0] / 2, y = this.size[1] / 2) {
      this.settle();
      const [width, height] = this.size, [w, h] = this.view.result, at = this.under(x, y);
      const to = clamp(zoom, this.fitting, MOST_ZOOM);
      Object.assign(this.place, {
        zoom: to, x: at.x - (x - width / 2) / (w * to), y: at.y - (y - height / 2) / (h * to),
      });
      this.settle();
      this.redraw();
    }

    act(what) {
      const { zoom } = this.place;
      if (what === "in") this.zoomTo(zoom * STEP);
      else if (what === "out") this.zoomTo(zoom / STEP);
      else if (what === "fit") this.zoomTo(this.fitting);
      else if (what === "one") this.zoomTo(1);
      else if (what === "two") this.zoomTo(2);
      else if (what === "full") this.fill();
      else if (what === "menu") this.openMenu(this.size[0] / 2, this.size[1] / 2);
      else if (what === "close") this.closeMenu(true);
      else if (what === "compare" || what === "explain") this.ask(what);
      else if (what === "take") this.take();
    }

    // What is in sight, in pixels of the upload.
    take() {
      const [width, height] = this.size, [w, h] = this.view.upload;
      const from = this.under(0, 0), to = this.under(width, height);
      const at = (share, length, round) => clamp(round(share * length), 0, length);
      const detail = [
        at(from.x, w, Math.floor), at(from.y, h, Math.floor), at(to.x, w, Math.ceil), at(to.y, h, Math.ceil),
      ];
      if (document.fullscreenElement === this) document.exitFullscreen();
      this.removeAttribute("filling");
      this.dispatchEvent(new CustomEvent("hpinet-frame", { bubbles: true, detail }));
    }

    async fill() {
      if (document.fullscreenElement === this) await document.exitFullscreen();
      else if (this.hasAttribute("filling")) this.removeAttribute("filling");
      else if (this.requestFullscreen) await this.requestFullscreen();
      else this.setAttribute("filling", ""); // telephones that know no full screen
      this.fitStage();
    }

    openMenu(x, y) {
      const at = this.under(x, y);
      if (this.view.isUpload) return;
      if (at.x < 0 || at.x >= 1 || at.y < 0 || at.y >= 1) return this.closeMenu();
      this.marked = at;
      this.menu.hidden = this.mark.hidden = false;
      this.redraw();
      this.menu.querySelector("button").focus({ preventScroll: true });
    }

    closeMenu(isDone = false) {
      this.marked = null;
      this.menu.hidden = this.mark.hidden = true;
      if (isDone) this.stage.focus({ preventScroll: true });
    }

    ask(what) {
      const [w, h] = this.view.upload, { x, y } = this.marked;
      if (document.fullscreenElement === this) document.exitFullscreen();
      this.removeAttribute("filling");
      const [left, top] = this.view.corner ?? [0, 0];
      const detail = {
        what, x: left + clamp(Math.floor(x * w), 0, w - 1), y: top + clamp(Math.floor(y * h), 0, h - 1),
      };
      this.closeMenu(true);
      this.dispatchEvent(new CustomEvent("hpinet-spot", { bubbles: true, detail }));
    }

    // ----------------------------------------------------------------------------------------------- listening

    listenToPeeking() {
      const peek = (is) => {
        if (this.isPeeking === is) return;
        this.isPeeking = is;
        this.peekButton.ariaPressed = String(is);
        this.redraw();
      };
      this.peek = peek;
      const button = this.peekButton;
      button.ariaPressed = "false";
      button.addEventListener("pointerdown", (event) => {
        button.setPointerCapture(event.pointerId);
        peek(true);
      });
      for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"])
        button.addEventListener(end, () => peek(false));
      button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long press
      button.addEventListener("keydown", (event) => {
        if (event.key !== " " && event.key !== "Enter") return;
        event.preventDefault();
        peek(true);
      });
      button.addEventListener("keyup", () => peek(false));
    }

    listenToBorder() {
      const { border } = this;
      const put = (share) => {
        this.place.border = clamp(share, 0, 1);
        this.redraw();
      };
      border.addEventListener("pointerdown", (event) => {
        event.stopPropagation();
        event.preventDefault();
        border.setPointerCapture(event.pointerId);
        border.focus({ preventScroll: true });
        const start = event.clientX - border.getBoundingClientRect().left - border.offsetWidth / 2;
        const follow = ({ clientX }) => {
          const { left, width } = this.stage.getBoundingClientRect();
          put((clientX - start - left) / width);
        };
        border.addEventListener("pointermove", follow);
        border.addEventListener("lostpointercapture", () => border.removeEventListener("pointermove", follow), {
          once: true,
        });
      });
      border.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -0.03, ArrowDown: -0.03, ArrowRight: 0.03, ArrowUp: 0.03, PageDown: -0.2, PageUp: 0.2 };
        if (event.key in by) put(this.place.border + by[event.key]);
        else if (event.key === "Home") put(0);
        else if (event.key === "End") put(1);
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    }

    listenToStage() {
      const { stage } = this;
      const at = (event) => {
        const { left, top } = stage.getBoundingClientRect();
        return [event.clientX - left - stage.clientLeft, event.clientY - top - stage.clientTop];
      };
      stage.addEventListener("wheel", (event) => {
        if (event.deltaY > 0 && this.place.zoom <= this.fitting * 1.0001 && !event.ctrlKey) return; // the page scrolls
        event.preventDefault();
        const pixels = event.deltaY * [1, 33, 400][event.deltaMode];
        this.zoomTo(this.place.zoom * Math.exp(-clamp(pixels, -400, 400) * NOTCH * (event.ctrlKey ? 5 : 1)), ...at(event));
      }, { passive: false });
      stage.addEventListener("pointerdown", (event) => {
        if (event.button || event.composedPath()[0] !== this.canvas) return;
        stage.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, at(event));
        if (this.pointers.size === 1) this.pressed = { at: at(event), isMoved: false };
        else this.pressed = null;
      });
      stage.addEventListener("pointermove", (event) => {
        const before = this.pointers.get(event.pointerId), now = at(event);
        if (!before) return;
        if (this.pointers.size === 2) {
          const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
          const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
          this.zoomTo(this.place.zoom * apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
          this.move((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
        } else {
          const start = this.pressed?.at ?? now;
          if (this.pressed && Math.hypot(now[0] - start[0], now[1] - start[1]) > TAP_PIXELS) this.pressed.isMoved = true;
          if (!this.pressed || this.pressed.isMoved) {
            this.closeMenu();
            this.move(now[0] - before[0], now[1] - before[1]);
          } else return; // from where it was pressed, once it moves
        }
        this.pointers.set(event.pointerId, now);
      });
      const end = (event) => {
        if (!this.pointers.delete(event.pointerId)) return;
        if (event.type === "pointerup" && this.pressed && !this.pressed.isMoved) this.tap(...at(event));
        this.pressed = null;
      };
      for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) stage.addEventListener(type, end);
      stage.addEventListener("contextmenu", (event) => {
        if (event.composedPath()[0] !== this.canvas) return;
        event.preventDefault();
        this.openMenu(...at(event));
      });
      stage.addEventListener("keydown", (event) => this.onKey(event));
      stage.addEventListener("keyup", (event) => event.key === " " && this.peek(false));
      stage.addEventListener("blur", () => this.peek(false));
    }

    // One offers what can be done there, two zoom.
    tap(x, y) {
      this.stage.focus({ preventScroll: true });
      if (this.tapping) {
        clearTimeout(this.tapping);
        this.tapping = 0;
        const { zoom } = this.place, steps = [1, 2, 4].filter((step) => step > zoom * 1.01);
        this.zoomTo(steps.length ? steps[0] : this.fitting, x, y);
      } else if (this.marked) this.closeMenu();
      else {
        this.tapping = setTimeout(() => {
          this.tapping = 0;
          this.openMenu(x, y);
        }, TAP_MS);
      }
    }

    onKey(event) {
      if (event.key === "Escape") {
        if (this.marked) this.closeMenu(true);
        else if (this.hasAttribute("filling")) this.fill();
        return;
      }
      if (event.target !== this.stage || event.ctrlKey || event.metaKey || event.altKey) return;
      const moves = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
      const acts = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "one", 2: "two", Enter: "menu", ContextMenu: "menu" };
      if (event.key in moves) this.move(...moves[event.key]);
      else if (event.key in acts) this.act(acts[event.key]);
      else if (event.key === " ") this.peek(true);
      else return;
      event.preventDefault();
    }

    listenToOverview() {
      const { overview } = this;
      const go = (event) => {
        if (!(event.buttons & 1)) return;
        const { left, top, width, height } = overview.getBoundingClientRect();
        Object.assign(this.place, { x: (event.clientX - left) / width, y: (event.clientY - top) / height });
        this.closeMenu();
        this.redraw();
      };
      overview.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        overview.setPointerCapture(event.pointerId);
        go(event);
      });
      overview.addEventListener("pointermove", go);
    }
  }

  if (!customElements.get("hpinet-viewer")) customElements.define("hpinet-viewer", Viewer);
})();
