// The picture: one SVG whose parts are kept from one state to the next, so that they move instead of jumping.

const SVG = "http://www.w3.org/2000/svg";
const ROUND = new Set(["input", "parameter", "constant", "output"]);
const KINDS = [
  [/^(dot|conv($|_(?!element)|olution)|linear|depthwise|einsum|embedding|pointwise_conv)/, "linear"],
  [/^(relu|tanh|sigmoid|logistic|silu|gelu|softplus|elu|exp|log|sin|cos|erf|sqrt|rsqrt|abs|max$|min$|clip|clamp|swish|hard_|leaky|custom_j)/, "bend"],
  [/(pool|reduce|sum|mean|softmax|norm|cumsum|argmax)/, "gather"],
  [/^(add|sub|mul|div|neg|pow|integer_pow|square|add_any)/, "arithmetic"],
  [/^(scan|while|cond|checkpoint|remat)/, "loop"],
];

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function kindOf(item) {
  if (item.kind !== "operation") return item.kind;
  return KINDS.find(([pattern]) => pattern.test(item.operation))?.[1] ?? "other";
}

function makePicture(host) {
  const head = (id, colour) => element("marker", { id, class: colour, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, element("path", { d: "M0.5 0.8 7.5 4 0.5 7.2 2 4z" }));
  const svg = element("svg", { xmlns: SVG, role: "group", "aria-label": "Graph" },
    element("defs", {}, head("arrow", "plain"), head("arrow-back", "gradient")),
    element("g", { class: "edges" }), element("g", { class: "groups" }), element("g", { class: "boxes" }));
  host.append(svg);
  const [, edges, groups, boxes] = svg.children;
  return { svg, groups, edges, boxes, made: new Map(), ruler: document.createElement("canvas").getContext("2d") };
}

const FONTS = { name: "600 13px ", small: "11.5px ", number: "11.5px ", tiny: "11px " };

function measurer(picture) {
  const family = getComputedStyle(document.body).fontFamily, mono = getComputedStyle(document.documentElement).getPropertyValue("--mono");
  return (text, style) => {
    picture.ruler.font = FONTS[style] + (style === "number" ? mono : family);
    return picture.ruler.measureText(text).width;
  };
}

// Draw anew what is shown and where; colours and the sweep are `restyle`'s.
function draw(picture, model, view, layout, linesOf) {
  const kept = new Set([...view.groups, ...view.boxes].map((id) => keyOf(view, id)));
  for (const [key, made] of picture.made) if (!kept.has(key)) { made.remove(); picture.made.delete(key); }
  for (const id of view.groups) put(picture, picture.groups, model.items.get(id), layout.places.get(id), "open", () => drawOpenGroup);
  for (const id of view.boxes) put(picture, picture.boxes, model.items.get(id), layout.places.get(id), "box", () => drawBox, linesOf(id));
  picture.edges.replaceChildren(...view.edges.map((edge) => drawEdge(model, edge)));
  sortBoxes(picture, layout);
  picture.width = layout.width;
  picture.height = layout.height;
}

function keyOf(view, id) {
  return `${view.groups.includes(id) ? "open" : "box"} ${id}`;
}

function put(picture, layer, item, at, what, drawing, lines) {
  const key = `${what} ${item.id}`;
  let made = picture.made.get(key);
  if (!made) {
    made = element("g", { "data-id": item.id, role: "button", tabindex: -1 });
    picture.made.set(key, made);
    layer.append(made);
  }
  made.setAttribute("class", `${what === "open" ? "open-group" : "box"} ${kindOf(item)}`);
  made.style.transform = `translate(${(at.x - at.width / 2).toFixed(1)}px, ${(at.y - at.height / 2).toFixed(1)}px)`;
  made.replaceChildren(...drawing()(item, at, lines));
}

function drawOpenGroup(item, at) {
  return [
    element("rect", { class: "frame", width: at.width, height: at.height, rx: 10 }),
    element("rect", { class: "handle", width: at.width, height: HEAD, "data-hit": "" }),
    element("path", { class: "sign", d: "M11 15h9" }),
    text(26, 19.5, item.label, "name"),
  ];
}

function drawBox(item, at, lines) {
  const round = ROUND.has(item.kind), more = item.kind === "group" ? BEHIND : 0, width = at.width - more, height = at.height - more;
  const shapes = [element("rect", { class: "card", width, height, rx: round ? height / 2 : 7 })];
  if (item.kind === "group") shapes.unshift(element("rect", { class: "card behind", x: BEHIND, y: BEHIND, width, height, rx: 7 }));
  if (item.kind === "operation") shapes.push(element("path", { class: "stripe", d: `M5 .3A7 7 0 0 0 0 7V${height - 7}A7 7 0 0 0 5 ${height - 0.3}z` }));
  if (item.kind === "group") shapes.push(element("path", { class: "sign", d: `M${width - 20} ${height - 14}h9m-4.5-4.5v9` }), element("rect", { class: "progress", y: height - 3.5, width: 0, height: 3.5, rx: 1.5 }));
  lines.forEach((line, i) => shapes.push(...drawLine(line, i, width, round)));
  shapes.push(element("title", {}, document.createTextNode(item.name + (item.type ? `\n${item.type}` : ""))));
  return shapes;
}

function drawLine(line, i, width, round) {
  const y = round ? 17.5 : 20 + i * LINE;
  const parts = [text(PAD, y, line.left, `${line.style} ${line.role ?? ""}`)];
  if (line.right) parts.push(text(width - PAD, y, line.right, "small end"));
  return parts;
}

function text(x, y, content, style) {
  return element("text", { x, y, class: style }, document.createTextNode(content));
}

function drawEdge(model, edge) {
  const light = ["parameter", "constant"].includes(model.items.get(edge.from).kind) ? " light" : "";
  const values = edge.parts.map((part) => `${model.items.get(part.from).name} → ${model.items.get(part.to).name}`);
  return element("g", { class: `edge${light}`, "data-edge": edge.key },
    element("path", { class: "hit", "data-hit": "", d: curve(edge.points) }),
    element("path", { class: "line", d: curve(edge.points), "marker-end": "url(#arrow)" }),
    element("title", {}, document.createTextNode(values.slice(0, 6).join("\n") + (values.length > 6 ? `\nand ${values.length - 6} more` : ""))));
}

// Readers and the tab key go down the page.
function sortBoxes(picture, layout) {
  const down = (a, b) => { const p = layout.places.get(a.dataset.id), q = layout.places.get(b.dataset.id); return p.y - q.y || p.x - q.x; };
  const sorted = [...picture.boxes.children].sort(down);
  if (sorted.some((box, i) => box !== picture.boxes.children[i])) picture.boxes.append(...sorted);
}

function setScale(picture, scale) {
  picture.scale = scale;
  picture.svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
  picture.svg.setAttribute("width", Math.round(picture.width * scale));
  picture.svg.setAttribute("height", Math.round(picture.height * scale));
}
