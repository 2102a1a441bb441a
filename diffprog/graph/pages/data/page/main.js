// The page's state - which groups are open, what is selected, how far the sweep is - and what changes it.

const $ = (id) => document.getElementById(id);

function makePage(record) {
  const model = makeModel(record), sweep = makeSweep(record, model);
  const page = { record, model, sweep, open: new Set(), selected: null, focused: null, scale: 1, picture: makePicture($("canvas")) };
  page.shown = (id) => shownAs(model, page.open, id);
  page.select = (id, options) => select(page, id, options);
  page.toggle = (id) => toggle(page, id);
  page.reveal = (id) => reveal(page, id);
  page.goTo = (k) => goTo(page, k);
  page.focusBox = () => focusBox(page, page.focused);
  return page;
}

// A small graph is shown whole; of a large one the outermost groups, and what is inside of one that holds most of it.
function openAtFirst(page) {
  const { model, open } = page;
  const groups = [...model.items.values()].filter((item) => item.kind === "group");
  if (model.order.length <= 40) for (const group of groups) open.add(group.id);
  else for (const group of groups) if (group.size > model.operations / 2 && groupsAround(model, group.id).every((id) => open.has(id))) open.add(group.id);
}

function arrange(page, anchor = null) {
  const before = anchor && boxCorner(page, anchor);
  const measure = measurer(page.picture);
  page.view = visible(page.model, page.open);
  page.lines = new Map(page.view.boxes.map((id) => [id, linesOf(page, page.model.items.get(id))]));
  const sizes = new Map([...page.lines].map(([id, lines]) => [id, boxSize(lines, page.model.items.get(id).kind, measure)]));
  page.layout = layOut(page.model, page.view, sizes);
  draw(page.picture, page.model, page.view, page.layout, (id) => page.lines.get(id));
  setScale(page.picture, page.scale);
  restyle(page);
  if (before) keepInPlace(page, anchor, before);
}

// What a box says; with a sweep also its value and its gradient, as numbers or by their norm.
function linesOf(page, item) {
  if (ROUND.has(item.kind)) return [{ left: shortName(page, item), style: "tiny", right: shapeOf(item.type) }];
  const lines = [{ left: clip(item.label, 34), style: "name", right: shapeOf(item.type) }];
  if (item.kind === "group") return [...lines, { left: `${item.size} operation${item.size === 1 ? "" : "s"}`, style: "small", right: "      " }];
  if (!item.label.startsWith(item.operation)) lines.push({ left: clip([item.operation, ...item.literals].join(" "), 34), style: "small" });
  else if (item.literals.length) lines[0].left += ` ${item.literals.join(" ")}`;
  const step = page.sweep.steps[page.sweep.place.get(item.id) - 1];
  if (step) lines.push({ left: `x ${brief(page.record, step.x_out[0])}`, style: "number", role: "value" }, { left: `g ${brief(page.record, step.g_out[0])}`, style: "number", role: "grad" });
  return lines;
}

// params['Dense_0']['kernel'] is Dense_0/kernel on its pill, and inside of the group Dense_0 just kernel.
function shortName(page, item) {
  const keys = [...item.name.matchAll(/\['([^']*)'\]/g)].map((match) => match[1]);
  if (!keys.length || item.name.replace(/^\w+/, "") !== keys.map((key) => `['${key}']`).join("")) return clip(item.name, 30);
  const path = (keys[0] === "params" && keys.length > 1 ? keys.slice(1) : keys).join("/");
  const around = item.parent ? `${page.model.items.get(item.parent).name}/` : "";
  return clip(path.startsWith(around) ? path.slice(around.length) : path, 30);
}

function clip(text, most) {
  return text.length > most ? `…${text.slice(1 - most)}` : text;
}

function shapeOf(type) {
  if (!type) return "";
  const shape = type.slice(type.indexOf("[") + 1, -1);
  return shape ? shape.replaceAll(", ", "×") : "scalar";
}

function brief(record, flow) {
  const array = flow && flow.array !== null ? record.arrays[flow.array] : null;
  if (!array) return "–";
  const few = array.rows && array.rows.length === 1 && array.rows[0].length <= 3;
  if (few) return array.rows[0].map(round4).join("  ");
  return array.norm === undefined ? "" : `‖${round4(array.norm)}‖`;
}

function round4(text) {
  const number = Number(text);
  return Number.isFinite(number) ? String(Number(number.toPrecision(4))).replace("-", "−") : text;
}

// Colours, progress, labels: all that changes without anything moving.
function restyle(page) {
  const { sweep, picture, model } = page;
  for (const [key, made] of picture.made) {
    const item = model.items.get(key.split(" ")[1]), status = statusOf(sweep, item);
    if (sweep.length) made.setAttribute("data-state", status.state);
    made.classList.toggle("selected", page.selected === item.id);
    const bar = made.querySelector(".progress");
    if (bar) bar.setAttribute("width", ((page.layout.places.get(item.id).width - BEHIND) * (sweep.at ? status.share : 0)).toFixed(1));
    made.setAttribute("aria-label", spoken(page, item, status));
    if (item.kind === "group") made.setAttribute("aria-expanded", String(page.open.has(item.id)));
    made.setAttribute("tabindex", item.id === page.focused ? 0 : -1);
  }
  for (const made of picture.edges.children) styleEdge(page, made);
  updateBar(page);
}

function styleEdge(page, made) {
  const edge = page.view.edges.find((edge) => edge.key === made.dataset.edge);
  const flow = flowOf(page.sweep, page.model, edge), line = made.querySelector(".line");
  made.dataset.flow = flow;
  made.classList.toggle("near", page.selected !== null && (edge.from === page.selected || edge.to === page.selected));
  if (flow) { line.setAttribute("marker-start", "url(#arrow-back)"); line.removeAttribute("marker-end"); }
  else { line.setAttribute("marker-end", "url(#arrow)"); line.removeAttribute("marker-start"); }
}

function spoken(page, item, status) {
  const what = item.kind === "group" ? `group of ${item.size} operations` : [item.operation, item.type].filter(Boolean).join(", ");
  const state = { current: "current step", done: "gradient sent", begun: "gradient partly sent", waiting: "waiting for the gradient" }[status.state];
  return [item.name, what, page.sweep.length ? state : ""].filter(Boolean).join(", ");
}

function updateBar(page) {
  const { sweep } = page;
  if (!sweep.length) return;
  $("at").value = sweep.at;
  const step = sweep.steps[sweep.at - 1], total = sweep.length;
  $("where").replaceChildren(...(step
    ? [html("strong", {}, `${sweep.at} / ${total}`), ` ${page.model.items.get(`n${step.node}`).name}`]
    : [html("strong", {}, `0 / ${total}`), " forward pass done; → goes back"]));
  $("at").setAttribute("aria-valuetext", step ? `step ${sweep.at} of ${total}, ${page.model.items.get(`n${step.node}`).name}` : "before the sweep");
  $("first").disabled = $("back").disabled = sweep.at === 0;
  $("last").disabled = $("forward").disabled = sweep.at === total;
}

function say(text) {
  $("said").textContent = text;
}

function showPanel(page, focus = false) {
  const item = page.selected ? page.model.items.get(page.selected) : null;
  $("panel").replaceChildren(...(item ? showItem(page, item) : showOverview(page)));
  $("panel").scrollTop = 0;
  if (focus) $("panel").focus();
}

function select(page, id, { scroll = true } = {}) {
  page.selected = id;
  if (id) page.focused = page.shown(id);
  restyle(page);
  showPanel(page);
  if (id && scroll) bringIntoView(page, page.shown(id));
}

function toggle(page, id) {
  if (page.open.has(id)) page.open.delete(id); else page.open.add(id);
  page.focused = id;
  page.selected = id;
  arrange(page, id);
  showPanel(page);
  focusBox(page, id);
  say(`${page.model.items.get(id).name} ${page.open.has(id) ? "opened" : "closed"}`);
}

function reveal(page, id) {
  for (const group of groupsAround(page.model, id)) page.open.add(group);
  arrange(page);
  select(page, id);
  focusBox(page, id);
}

function goTo(page, k) {
  const { sweep } = page;
  sweep.at = Math.min(Math.max(k, 0), sweep.length);
  const step = sweep.steps[sweep.at - 1];
  select(page, step ? `n${step.node}` : null);
  if (step) say(`step ${sweep.at} of ${sweep.length}, ${step.rule}, ${page.model.items.get(`n${step.node}`).name}`);
}

function setAll(page, open) {
  const groups = [...page.model.items.values()].filter((item) => item.kind === "group");
  page.open = new Set(open ? groups.map((group) => group.id) : []);
  if (page.focused) page.focused = page.shown(page.focused);
  arrange(page, page.focused);
  showPanel(page);
}
