// What the page's events call. In the head of the page: whoever is quick uses the page before page.js has run.
(() => {
  const { say } = window.hpinet; // in the visitor's language
  // Gradio sends the files of a folder without their folders: before it looks, their names get them. The sign between
  // is no one's slash, after which alone a name is read; the server knows it as FOLDER_SIGN.
  const FOLDER_SIGN = "\u2215";
  window.withPath = (file, path) => new File([file], path.replaceAll("/", FOLDER_SIGN), file);
  // Of a folder, chosen or dropped, what is nobody's picture is left out, and what is too large: for one such file Gradio
  // would refuse them all. `unread` says how many could not even be read.
  document.addEventListener("change", ({ target, unread = 0 }) => {
    if (!target.webkitdirectory) return;
    const { suffixes, megabytes } = leftOut().dataset, accepted = suffixes.split(" ");
    const transfer = new DataTransfer();
    for (const file of target.files) {
      const told = file.webkitRelativePath; // of a dropped folder the name has it already
      const path = told || file.name.replaceAll(FOLDER_SIGN, "/");
      const isHidden = path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
      const isPicture = accepted.includes(path.slice(path.lastIndexOf(".")).toLowerCase());
      if (!isHidden && isPicture && file.size <= megabytes * 1e6) transfer.items.add(told ? window.withPath(file, told) : file);
    }
    window.tellLeftOut(unread + target.files.length - transfer.files.length);
    target.files = transfer.files;
  }, true);
  const leftOut = () => document.querySelector("#batch-left-out p"); // which also says what is taken
  window.tellLeftOut = (count) => {
    const { megabytes } = leftOut().dataset;
    leftOut().textContent = count
      ? say("Left out: {count:n} (hidden, no picture, over {megabytes:n} MB, or unreadable)", { count, megabytes })
      : "";
    if (count) tellAloud(leftOut().textContent);
  };
  // To whoever listens to the page; page.js makes the place.
  const tellAloud = (words) => {
    const voice = document.querySelector("#voice");
    if (voice) voice.textContent = words;
  };
  // What a visitor has set by hand since the page came up, or since everything was reset. It is not restored from the
  // last visit, nor, while it stands there, set by what follows from a picture until the server has heard of it.
  const touched = new Map();
  document.addEventListener("input", ({ target }) => {
    const field = target.closest?.("#model, #scale, #pixels, #treatment, #format, #batch-format");
    if (field) touched.set(field.id, target.value);
  }, true);
  window.forget = () => touched.clear();
  window.restored = (told, names, values) =>
    values.map((value, place) => touched.has(names[place]) ? value : told?.[names[place]] ?? value);
  window.followed = (told, names, values) => values.map((value, place) => {
    const name = names[place], { heard, becomes } = told?.[name] ?? {};
    return touched.get(name) == value && value != heard ? value : becomes ?? value; // numbers are touched as text
  });
  // The result comes into view once, unless the visitor has gone to look at something else.
  let stayed = true;
  for (const kind of ["wheel", "touchmove"]) window.addEventListener(kind, () => { stayed = false; }, { passive: true });
  document.addEventListener("keydown", ({ key }) => { if (/^(Page|Home|End)/.test(key)) stayed = false; });
  window.runBegins = () => { stayed = true; };
  const bring = (element, block) => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element?.scrollIntoView({ block, behavior: calm ? "instant" : "smooth" });
  };
  window.showOutcome = (id) => {
    const shown = document.getElementById(id);
    if (!stayed || !shown?.offsetParent) return;
    const { top } = shown.getBoundingClientRect();
    if (top >= 0 && top + 300 < window.innerHeight - 80) return; // with room for what follows it
    stayed = false;
    bring(shown, "start");
  };
  window.bringNear = (id) => bring(document.getElementById(id), "nearest");
  // A link to the page with these choices, and what is shared: that link, with the result where files can be shared.
  window.linkOf = (model, scale, treatment, format) => {
    const url = new URL(window.location);
    url.searchParams.set("model", model);
    if (scale.startsWith("×")) url.searchParams.set("scale", scale.slice(1)); else url.searchParams.delete("scale");
    url.searchParams.set("treatment", treatment);
    url.searchParams.set("format", format.toLowerCase());
    return url;
  };
  window.shareResult = async (file, ...choices) => {
    const button = document.querySelector("#share"), url = String(window.linkOf(...choices));
    const tell = (words) => {
      button.dataset.said = words;
      tellAloud(words);
      setTimeout(() => delete button.dataset.said, 3000);
    };
    try {
      if (navigator.share) {
        const files = [];
        if (file?.url && navigator.canShare) {
          const content = await (await fetch(file.url)).blob();
          files.push(new File([content], file.orig_name ?? file.path.split(/[\\/]/).pop(), { type: content.type }));
        }
        const both = { title: document.title, text: url, files };
        await navigator.share(files.length && navigator.canShare(both) ? both : { title: document.title, url });
      } else {
        await navigator.clipboard.writeText(url);
        tell(say("link copied"));
      }
    } catch (error) {
      if (error.name !== "AbortError") tell(say("not possible here: the link is in the address bar"));
    }
  };
})();
