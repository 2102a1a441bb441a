// What moves the view and not the state: zoom, scrolling, dragging, focus, light and dark, saving a picture.

const SMALLEST = 0.08, LARGEST = 3;

function boxCorner(page, id) {
  const at = page.layout?.places.get(page.shown(id)) ?? page.layout?.places.get(id);
  return at && { x: at.x, y: at.y - at.height / 2 };
}

// After something opened or closed, what was clicked stays where it was on the screen.
function keepInPlace(page, id, before) {
  const now = boxCorner(page, id), canvas = $("canvas");
  if (!now) return;
  canvas.scrollTop += (now.y - before.y) * page.scale;
  canvas.scrollLeft += (now.x - before.x) * page.scale;
}

function zoomTo(page, scale, at = null) {
  const canvas = $("canvas"), rect = canvas.getBoundingClientRect(), svg = page.picture.svg.getBoundingClientRect();
  const x = at ? at.x : rect.left + rect.width / 2, y = at ? at.y : rect.top + rect.height / 2;
  const under = { x: (x - svg.left) / page.scale, y: (y - svg.top) / page.scale };
  page.scale = Math.min(Math.max(scale, Math.min(SMALLEST, fittingScale(page))), LARGEST);
  setScale(page.picture, page.scale);
  const after = page.picture.svg.getBoundingClientRect();
  canvas.scrollLeft += after.left + under.x * page.scale - x;
  canvas.scrollTop += after.top + under.y * page.scale - y;
  $("zoom-level").textContent = `${Math.round(100 * page.scale)} %`;
}

function fittingScale(page) {
  const canvas = $("canvas");
  return Math.min((canvas.clientWidth - 48) / page.layout.width, (canvas.clientHeight - 48) / page.layout.height);
}

// All of it where that can be read, else its beginning at a size that can.
function firstView(page) {
  const fitting = fittingScale(page);
  zoomTo(page, fitting >= 0.75 ? Math.min(fitting, 1.25) : Math.min(1, Math.max(0.75, ($("canvas").clientWidth - 48) / page.layout.width)));
  $("canvas").scrollTop = 0;
  $("canvas").scrollLeft = (page.layout.width * page.scale + 48 - $("canvas").clientWidth) / 2;
}

function bringIntoView(page, id) {
  const at = page.layout.places.get(id), canvas = $("canvas");
  if (!at) return;
  const svg = page.picture.svg.getBoundingClientRect(), frame = canvas.getBoundingClientRect(), margin = 60;
  const left = svg.left + (at.x - at.width / 2) * page.scale, right = left + at.width * page.scale;
  const top = svg.top + (at.y - at.height / 2) * page.scale, bottom = top + at.height * page.scale;
  const needed = (low, high, from, to) => (low < from + margin ? low - from - margin : high > to - margin ? Math.min(high - to + margin, low - from - margin) : 0);
  const smooth = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  canvas.scrollBy({ left: needed(left, right, frame.left, frame.right), top: needed(top, bottom, frame.top, frame.bottom), behavior: smooth });
}

function elementOf(page, id) {
  return page.picture.made.get(`box ${id}`) ?? page.picture.made.get(`open ${id}`);
}

function focusBox(page, id) {
  const made = id && elementOf(page, page.layout.places.has(id) ? id : page.shown(id));
  if (!made) return;
  page.focused = made.dataset.id;
  for (const other of page.picture.made.values()) other.setAttribute("tabindex", other === made ? 0 : -1);
  made.focus({ preventScroll: true });
  bringIntoView(page, page.focused);
}

// Down or up the page, over boxes and the names of open groups.
function neighbour(page, direction) {
  const ids = [...page.view.groups, ...page.view.boxes];
  const y = (id) => { const at = page.layout.places.get(id); return at.y - at.height / 2; };
  ids.sort((a, b) => y(a) - y(b) || page.layout.places.get(a).x - page.layout.places.get(b).x);
  const here = ids.indexOf(page.focused);
  return ids[Math.min(Math.max(here + direction, 0), ids.length - 1)];
}

function wireDragging(canvas) {
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.pointerType === "mouse" && !event.target.closest("[role=button]")) from = { x: event.clientX, y: event.clientY, left: canvas.scrollLeft, top: canvas.scrollTop };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    canvas.classList.add("dragged");
    canvas.scrollLeft = from.left - event.clientX + from.x;
    canvas.scrollTop = from.top - event.clientY + from.y;
  });
  addEventListener("pointerup", () => { from = null; canvas.classList.remove("dragged"); });
}

function wireWheel(page, canvas) {
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomTo(page, page.scale * Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
  }, { passive: false });
}

function isDark() {
  return (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
}

function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
}

const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "font-style"];

// What is on the screen as a file of its own, with its colours written into it.
function saveSvg(page) {
  const { svg } = page.picture, copy = svg.cloneNode(true);
  const from = [...svg.querySelectorAll("*")], to = [...copy.querySelectorAll("*")];
  from.forEach((part, i) => {
    const style = getComputedStyle(part);
    for (const name of DRAWN) if (style.getPropertyValue(name)) to[i].setAttribute(name, style.getPropertyValue(name));
    const { transform } = part.style;
    if (transform) to[i].setAttribute("transform", transform.replaceAll("px", ""));
    for (const name of ["style", "tabindex", "role", "class"]) to[i].removeAttribute(name);
  });
  copy.querySelectorAll("[data-hit]").forEach((part) => part.remove());
  copy.prepend(element("rect", { width: "100%", height: "100%", fill: getComputedStyle($("canvas")).backgroundColor }));
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  html("a", { href: url, download: `${document.title.replaceAll(/[^\w.-]+/g, "_") || "graph"}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
