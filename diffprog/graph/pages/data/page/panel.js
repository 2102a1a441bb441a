// What is known of one item: its six numbers, its rule and formula, where it stands in the program.

function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const MATH = "http://www.w3.org/1998/Math/MathML";
const MATH_PARTS = new Set("math mrow mi mn mo mtext mspace msub msup msubsup mfrac msqrt mroot mover munder munderover mtable mtr mtd mstyle mpadded mphantom menclose semantics".split(" "));
const MATH_ATTRIBUTES = new Set("display stretchy fence separator form lspace rspace width height depth linethickness columnalign columnspacing rowspacing minsize maxsize mathvariant displaystyle scriptlevel movablelimits accent accentunder symmetric".split(" "));

// Only MathML is let through, whatever the text says.
function formula(mathml, latex) {
  const parsed = mathml ? new DOMParser().parseFromString(mathml, "application/xml").documentElement : null;
  const copied = parsed && parsed.namespaceURI === MATH ? copyMath(parsed) : null;
  if (!copied) return html("code", { class: "formula" }, latex);
  copied.setAttribute("alttext", latex);
  return html("div", { class: "formula" }, copied);
}

function copyMath(node) {
  if (!MATH_PARTS.has(node.localName)) return null;
  const copy = document.createElementNS(MATH, node.localName);
  for (const { name, value } of node.attributes) if (MATH_ATTRIBUTES.has(name)) copy.setAttribute(name, value);
  for (const child of node.childNodes) {
    const part = child.nodeType === Node.TEXT_NODE ? document.createTextNode(child.data) : child.nodeType === Node.ELEMENT_NODE ? copyMath(child) : null;
    if (part) copy.append(part);
  }
  return copy;
}

function describeArray(record, index) {
  if (index === null || index === undefined) return html("p", { class: "none" }, "none");
  const array = record.arrays[index];
  return html("div", { class: "array" }, array.rows ? table(array.rows) : null, facts(array));
}

function table(rows) {
  const cells = (row) => row.map((value) => html("td", { title: value }, round4(value)));
  return html("div", { class: "scroll", tabindex: rows[0].length > 4 ? 0 : null }, html("table", {}, ...rows.map((row) => html("tr", {}, ...cells(row)))));
}

function facts(array) {
  if (array.rows) return html("p", { class: "type" }, array.type);
  const found = [["norm", array.norm && round4(array.norm)], ["range", array.range?.map(round4).join(" … ")], ["zeros", array.zeros], ["not finite", array["not finite"]]].filter(([, value]) => value !== undefined);
  return html("div", {}, html("p", { class: "type" }, array.type),
    html("dl", { class: "facts" }, ...found.flatMap(([key, value]) => [html("dt", { class: key === "not finite" ? "bad" : null }, key), html("dd", {}, String(value).replaceAll("-", "−"))])));
}

function showItem(page, item) {
  const title = html("h2", { tabindex: -1 }, item.label);
  const what = item.kind === "group" ? "group" : item.operation;
  const badge = what === item.label ? null : html("span", { class: `badge ${kindOf(item)}` }, what);
  const head = [html("div", { class: "panel-head" }, title, badge ?? "", html("button", { class: "close", "aria-label": "Close details", onclick: () => page.select(null) }, "×"))];
  if (item.name !== item.label) head.push(html("p", { class: "path" }, item.name));
  const body = { operation: showOperation, group: showGroup, output: showPlain }[item.kind] ?? showSource;
  return [...head, ...body(page, item)];
}

function showPlain(page, item) {
  return [section("Type", html("p", { class: "type" }, item.type)), ...neighbours(page, item)];
}

function showGroup(page, item) {
  const steps = page.sweep.counts.get(item.id) ?? [], done = steps.filter((k) => k <= page.sweep.at).length;
  const open = page.open.has(item.id);
  return [
    html("p", {}, `${item.size} operations${steps.length ? `; the sweep has been through ${done} of ${steps.length}` : ""}.`),
    html("button", { onclick: () => page.toggle(item.id) }, open ? "Close this group" : "Open this group"),
    section("Inside", html("ul", { class: "links" }, ...item.children.map((id) => html("li", {}, link(page, id))))),
  ];
}

function showOperation(page, item) {
  const k = page.sweep.place.get(item.id), step = k ? page.sweep.steps[k - 1] : null;
  const parts = [];
  if (page.shown(item.id) !== item.id) parts.push(html("button", { onclick: () => page.reveal(item.id) }, "Show in the graph"));
  if (item.source) parts.push(html("p", { class: "source" }, item.source));
  if (step) parts.push(...showStep(page, step, k));
  else parts.push(section("Gives", html("p", { class: "type" }, item.type)), page.sweep.length ? html("p", { class: "none" }, "No gradient comes through here.") : null);
  if (item.literals.length) parts.push(section("Written in the program", html("p", { class: "type" }, item.literals.join(", "))));
  return [...parts.filter(Boolean), ...neighbours(page, item)];
}

function showStep(page, step, k) {
  const reached = k <= page.sweep.at;
  const rule = html("div", { class: "rule" }, html("p", {}, html("span", { class: "label" }, "rule"), " ", html("strong", {}, step.rule)),
    ...[step.forward, step.formula].filter(Boolean).map((latex) => formula(page.record.formulas[latex], latex)));
  const pending = reached ? null : html("p", { class: "pending" }, `Step ${k} of the sweep; not reached yet. `, html("button", { onclick: () => page.goTo(k) }, "Go there"));
  return [rule, pending, html("div", { class: "anatomy" },
    html("h3", { class: "forward" }, "forward"), html("h3", { class: "gradient" }, "backward"),
    pair(page, flows(page, "x_out", step.x_out), gradients(page, step, reached)),
    pair(page, flows(page, "params", step.parameters), flows(page, "dJ/dparams", step.g_parameters, reached)),
    pair(page, flows(page, "x_in", step.x_in), flows(page, "g_in", step.g_in, reached)))];
}

// A value and its gradient side by side, or one below the other where they are wide.
function pair(page, value, gradient) {
  const wide = [...value.querySelectorAll("tr"), ...gradient.querySelectorAll("tr")].some((row) => row.children.length > 3);
  return html("div", { class: wide ? "pair wide" : "pair" }, value, gradient);
}

function gradients(page, step, reached) {
  const cell = flows(page, "g_out", step.g_out, reached);
  if (!reached) return cell;
  step.contributions.forEach((terms, i) => {
    if (terms.length < 2) return;
    cell.append(html("details", { class: "sum", open: "" }, html("summary", {}, `the sum of ${terms.length} contributions${step.contributions.length > 1 ? ` to output ${i}` : ""}`), ...terms.map((term) => contribution(page, term))));
  });
  return cell;
}

function contribution(page, term) {
  return html("div", { class: "term" }, html("p", {}, "from ", linkByName(page, term.name)), describeArray(page.record, term.array));
}

function flows(page, label, items, reached = true) {
  const gradient = label.startsWith("g") || label.startsWith("d");
  const cell = html("div", { class: `cell ${gradient ? "gradient" : "forward"}${items.length ? "" : " empty"}` }, html("h4", {}, symbol(label)));
  if (!items.length) cell.append(html("p", { class: "none" }, "none"));
  for (const item of items) cell.append(html("div", { class: "flow" }, html("p", { class: "flow-name" }, ...breakable(item.name)), reached ? describeArray(page.record, item.array) : html("p", { class: "none" }, "not yet")));
  return cell;
}

// A long name breaks after a slash, not inside of a word.
function breakable(name) {
  return name.split("/").flatMap((part, i) => (i ? ["/", html("wbr"), part] : [part]));
}

function symbol(label) {
  const [, letter, below] = label.match(/^([xg])_(in|out)$/) ?? [null, label, ""];
  return html("span", {}, html("i", {}, letter), below ? html("sub", {}, below) : null);
}

// An argument or a constant: its value, and its gradient as the sum over all that use it.
function showSource(page, item) {
  const parts = [section("Type", html("p", { class: "type" }, item.type))];
  const steps = page.sweep.last.get(item.name) ?? [];
  if (!steps.length) return [...parts, ...neighbours(page, item)];
  const first = page.sweep.steps[steps[0] - 1];
  const value = [...first.x_in, ...first.parameters].find((flow) => flow.name === item.name);
  if (value) parts.push(section("Value", describeArray(page.record, value.array)));
  const reached = steps.filter((k) => k <= page.sweep.at), all = reached.length === steps.length;
  const total = all ? describeArray(page.record, page.record.totals[item.name]) : html("p", { class: "none" }, `${reached.length} of ${steps.length} contributions have arrived`);
  parts.push(section("Gradient of the cost", total, "gradient"));
  if (steps.length > 1) parts.push(section(`The sum over ${steps.length} uses`, html("div", {}, ...reached.map((k) => useOf(page, item, k))), "gradient"));
  return [...parts, ...neighbours(page, item)];
}

function useOf(page, item, k) {
  const step = page.sweep.steps[k - 1];
  const flow = [...step.g_parameters, ...step.g_in].find((flow) => flow.name === item.name);
  return html("div", { class: "term" }, html("p", {}, "from ", link(page, `n${step.node}`)), describeArray(page.record, flow.array));
}

function neighbours(page, item) {
  const before = page.model.edges.filter((edge) => edge.to === item.id).map((edge) => edge.from);
  const after = page.model.edges.filter((edge) => edge.from === item.id).map((edge) => edge.to);
  const list = (title, ids) => (ids.length ? section(title, html("ul", { class: "links" }, ...[...new Set(ids)].slice(0, 40).map((id) => html("li", {}, link(page, id))))) : null);
  return [list("Takes", before), list("Is used by", after)].filter(Boolean);
}

function link(page, id) {
  const item = page.model.items.get(id);
  return html("button", { class: "link", onclick: () => page.reveal(id) }, item.name, html("span", { class: "small" }, ` ${item.type}`));
}

function linkByName(page, name) {
  const found = [...page.model.items.values()].find((item) => item.name === name && item.kind !== "group");
  return found ? html("button", { class: "link", onclick: () => page.reveal(found.id) }, name) : html("strong", {}, name);
}

function section(title, content, style = "") {
  return html("section", { class: style }, html("h3", {}, title), content);
}

function showOverview(page) {
  const sources = [...page.model.items.values()].filter((item) => item.kind === "input" || item.kind === "parameter" || item.kind === "output");
  const legend = [["linear", "linear: dot, conv"], ["bend", "pointwise"], ["arithmetic", "arithmetic"], ["gather", "pooling, sums"], ["loop", "loop or branch"], ["other", "shapes and the rest"]];
  const pills = [["input", "input"], ["parameter", "parameter"], ["constant", "constant"], ["output", "output"]];
  const used = new Set([...page.model.items.values()].map(kindOf));
  const entry = ([kind, label]) => html("li", {}, html("span", { class: `swatch ${kind}` }), label);
  return [
    html("h2", { tabindex: -1 }, "Overview"),
    html("p", {}, page.sweep.length
      ? "Numbers flow down, gradients come back up. Press → to take the first step of the backward sweep, or click a box."
      : "Click a box for its details; click a group to open it."),
    section("Takes and gives", html("ul", { class: "links" }, ...sources.slice(0, 60).map((item) => html("li", {}, link(page, item.id))))),
    section("Legend", html("ul", { class: "legend" }, ...[...legend, ...pills].filter(([kind]) => used.has(kind)).map(entry))),
  ];
}
