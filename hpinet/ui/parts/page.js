() => {
  // Gradio names buttons otherwise than they read: whoever speaks to the page says what it shows.
  const rename = () => {
    for (const button of document.querySelectorAll("button.thumbnail-item[aria-label]")) {
      const caption = button.querySelector(".caption-label")?.textContent.trim();
      if (caption && button.ariaLabel !== caption) button.ariaLabel = caption;
    }
    for (const button of document.querySelectorAll("button.upload-container[aria-label]"))
      if (button.textContent.trim()) button.removeAttribute("aria-label");
  };
  // Gradio's before/after border knows the mouse alone: arrow keys move it as a mouse would.
  const tell = (border) => {
    const { width } = border.parentElement.getBoundingClientRect();
    const at = new DOMMatrix(getComputedStyle(border).transform).e;
    border.ariaValueNow = width ? Math.round(100 * at / width) : 50;
  };
  const reach = () => {
    for (const border of document.querySelectorAll("[data-testid=slider]:not([tabindex])")) {
      Object.assign(border, { tabIndex: 0, role: "slider", ariaLabel: "Border between before and after" });
      Object.assign(border, { ariaValueMin: 0, ariaValueMax: 100 });
      tell(border);
    }
  };
  document.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!steps || event.target.dataset?.testid !== "slider") return;
    event.preventDefault();
    const frame = event.target.parentElement.getBoundingClientRect();
    const x = frame.left + new DOMMatrix(getComputedStyle(event.target).transform).e;
    const y = frame.top + frame.height / 2;
    const send = (target, type, clientX) =>
      target.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX, clientY: y }));
    send(event.target, "mousedown", x);
    send(window, "mousemove", x + steps * frame.width / 20);
    send(window, "mouseup", x + steps * frame.width / 20);
    setTimeout(tell, 100, event.target);
  });
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
  // Gradio sends the files of a folder without their folders: they are noted here before it looks.
  document.addEventListener("change", ({ target }) => {
    if (target.webkitdirectory) window.folderPaths = [...target.files].map((file) => file.webkitRelativePath);
  }, true);
  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; rename(); reach(); mark(); });
  }).observe(document.body, { childList: true, subtree: true });
  rename();
}
