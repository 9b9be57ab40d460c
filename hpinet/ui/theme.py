"""How the page looks: quiet greys, one accent, the reader's own fonts, light and dark. Contrast meets WCAG AA."""

from gradio.themes.base import Base
from gradio.themes.utils.colors import Color

INK = Color(
    name="ink",
    c50="#f8f9fa", c100="#f1f3f5", c200="#e3e7eb", c300="#cbd2d9", c400="#9aa5b1", c500="#6b7682",
    c600="#515c68", c700="#3b444e", c800="#262d35", c900="#1a2027", c950="#11161b",
)  # fmt: skip
TEAL = Color(
    name="teal",
    c50="#eefaf8", c100="#d3f2ed", c200="#a9e4db", c300="#74cfc4", c400="#45b5a9", c500="#249a90",
    c600="#167c75", c700="#13635f", c800="#134f4d", c900="#12413f", c950="#052827",
)  # fmt: skip

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Consolas", "Liberation Mono", "monospace")


def theme() -> Base:
    """Gradio's base theme in our colours."""
    return Base(primary_hue=TEAL, secondary_hue=TEAL, neutral_hue=INK, font=SANS, font_mono=MONO, radius_size="md").set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_700",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_background_fill="white",
        block_label_background_fill_dark="*neutral_900",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_text_weight="600",
        block_shadow="none",
        block_shadow_dark="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        input_border_color="*neutral_400",
        input_border_color_dark="*neutral_600",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_border_width="1px",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_border_color_selected="*primary_700",
        checkbox_border_color_selected_dark="*primary_500",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_color_selected="*primary_700",
        checkbox_label_border_color_selected_dark="*primary_500",
        checkbox_label_text_color_selected="*neutral_900",
        checkbox_label_text_color_selected_dark="white",
        loader_color="*primary_700",
        loader_color_dark="*primary_400",
    )


CSS = """
:focus-visible { outline: 3px solid var(--primary-500) !important; outline-offset: 2px; }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }

.masthead { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 16px; }
.masthead h1 { font-size: 1.4rem; font-weight: 700; letter-spacing: -.01em; margin: 0; }
.masthead p { margin: 0; color: var(--body-text-color-subdued); }

/* A radio with a sentence for each choice reads as a list. */
.lines .wrap { flex-direction: column; align-items: stretch; gap: 6px; }
.lines .wrap label { white-space: normal; line-height: 1.35; }
#scale .wrap, #batch-scale .wrap { gap: 4px; }
#scale label, #batch-scale label { padding-left: 8px; padding-right: 10px; }

/* Progress, results and errors appear here: room for them from the start, so that nothing jumps. */
.status { min-height: 84px; }
.status > .html-container { padding: 12px 16px !important; }
.status .pending { opacity: 0 !important; } /* the progress bar stands in its place */
.forecast { min-height: 44px; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 !important; padding: 0 !important; }
.facts li { list-style: none; margin: 0 !important; padding: 0; }
.facts b { font-weight: 650; }
.quiet { color: var(--body-text-color-subdued); margin: 0; }
.trouble { color: #a51d1d; font-weight: 600; margin: 0; }
.dark .trouble { color: #ff9d94; }

.tip {
  position: relative; padding: 0; font: inherit; color: inherit; background: none; cursor: help;
  border: none; border-bottom: 1px dotted currentColor; border-radius: 0;
}
.tip [role=tooltip] {
  visibility: hidden; position: absolute; z-index: 30; right: 0; top: calc(100% + 8px); width: min(300px, 78vw);
  padding: 8px 11px; border-radius: 8px; text-align: left; font-weight: 400; font-size: .86rem; line-height: 1.4;
  background: #1a2027; color: #f8f9fa; box-shadow: 0 4px 16px rgb(0 0 0 / .25);
}
.dark .tip [role=tooltip] { background: #f1f3f5; color: #11161b; }
.tip:hover [role=tooltip], .tip:focus [role=tooltip] { visibility: visible; }

.spot {
  position: absolute; width: 22px; height: 22px; margin: -11px 0 0 -11px; border-radius: 50%; z-index: 5;
  border: 2px solid #fff; box-shadow: 0 0 0 2px #11161b, inset 0 0 0 2px #11161b; pointer-events: none;
}

.under-result { align-items: flex-end; }

.crops { display: flex; flex-wrap: wrap; gap: 14px; margin-bottom: 14px; }
.crops figure { margin: 0; }
.crops img { display: block; border-radius: 4px; image-rendering: pixelated; max-width: 100%; margin: 0; }
.crops figcaption { font-size: .88rem; margin-top: 4px; max-width: 220px; }

.table {
  width: 100%; border: none !important; border-collapse: collapse; font-variant-numeric: tabular-nums;
}
.table thead, .table tbody, .table tr { border: none !important; }
.table th, .table td {
  text-align: left; padding: 6px 10px; border: none !important;
  border-bottom: 1px solid var(--border-color-primary) !important;
}
.table td:nth-child(2) { white-space: nowrap; }
.table td.number, .table th.number { text-align: right; }
.scroll { overflow-x: auto; }

.cm-line span { color: inherit !important; } /* Gradio's syntax colours are too faint to read for some */

#examples-title { margin-top: 4px; }
#look { align-self: flex-end; }
footer .divider { display: none; }
.plain-gallery {
  border: none !important; padding: 0 !important; background: none !important; min-height: 0 !important;
}
.plain-gallery .grid-wrap { max-height: none !important; min-height: 0 !important; height: auto !important }
.plain-gallery .grid-container { padding: 0 !important; }
.tiles button.thumbnail-item { aspect-ratio: 4 / 3.6; }
.plain-gallery .caption-label {
  left: 0; right: 0; bottom: 0; max-width: none; width: 100%; white-space: normal; text-align: left; border: none;
  border-radius: 0; font-size: .78rem; line-height: 1.25; padding: 4px 7px;
  color: var(--body-text-color); background: var(--block-background-fill);
}

@media (max-width: 640px) {
  .tab-container button { padding: 0 8px !important; font-size: .92rem; }
  /* Within reach of the thumb that holds the phone. */
  .actions {
    position: fixed; left: 0; right: 0; bottom: 0; z-index: 100; flex-wrap: nowrap !important; padding: 8px 12px 10px;
    background: var(--body-background-fill); border-top: 1px solid var(--border-color-primary);
  }
  .actions button { min-height: 52px; min-width: 0 !important; }
  .tiles .grid-container { grid-template-columns: repeat(2, 1fr) !important; }
  .tip [role=tooltip] { position: fixed; left: 5vw; right: 5vw; top: auto; bottom: 84px; width: auto; z-index: 50; }
}
"""

# Gradio confines CSS to what is inside its own margins; these are about the margins.
HEAD = """<style>
@media (max-width: 640px) { .gradio-container .main.fillable { padding: 10px 12px 88px !important; } }
</style>"""

SCRIPT = """() => {
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
    border.ariaValueNow = Math.round(100 * new DOMMatrix(getComputedStyle(border).transform).e / width);
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
      const inside = x?.value && y?.value && +x.value < image?.naturalWidth && +y.value < image?.naturalHeight;
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
}"""
