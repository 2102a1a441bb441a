// Where everything goes. dagre lays out one group at a time, from the innermost outwards, so that an open group
// is one box to what is around it; lines enter and leave it through ports on its border.

const PILL = 26, LINE = 18, PAD = 11, HEAD = 30, FOOT = 16, SIDE = 16;
const SPACING = { rankdir: "TB", nodesep: 24, edgesep: 18, ranksep: 42, marginx: 0, marginy: 0 };

const BEHIND = 4; // how far the second card of a closed group looks out

function boxSize(lines, kind, measure) {
  const width = Math.max(...lines.map((line) => measure(line.left, line.style) + (line.right ? 16 + measure(line.right, "small") : 0)));
  if (ROUND.has(kind)) return { width: Math.ceil(width) + 2 * PAD, height: PILL };
  const more = kind === "group" ? BEHIND : 0;
  return { width: Math.max(92, Math.ceil(width) + 2 * PAD + 4) + more, height: lines.length * LINE + 14 + more };
}

// Places (centre, width, height) of all boxes and open groups, and every edge with its points.
function layOut(model, view, sizes) {
  const open = new Set(view.groups);
  const inside = new Map([[null, []], ...view.groups.map((id) => [id, []])]);
  for (const id of [...view.groups, ...view.boxes]) inside.get(model.items.get(id).parent).push(id);
  const routes = view.edges.map((edge) => route(model, edge));
  const hops = new Map([...inside.keys()].map((id) => [id, []]));
  for (const { source, hops: found } of routes) for (const hop of found) hops.get(hop.room).push({ ...hop, source });
  const innermostFirst = [...inside.keys()].sort((a, b) => depth(model, b) - depth(model, a));
  const rooms = new Map();
  for (const id of innermostFirst) rooms.set(id, roomFor(model, inside, hops, sizes, rooms, id));
  for (const id of [...innermostFirst].reverse()) untangle(rooms, hops, id);
  const places = new Map();
  place(rooms, null, 0, 0, places);
  view.edges.forEach((edge, i) => { edge.points = tracePoints(routes[i], rooms, places); });
  spreadArrivals(view.edges, places, open);
  const whole = rooms.get(null);
  return { places, width: whole.width, height: whole.height };
}

function depth(model, id) {
  return id === null ? -1 : groupsAround(model, id).length;
}

// An edge as hops, one a group: out of the groups around its start, across, into those around its end.
function route(model, edge) {
  const up = [...groupsAround(model, edge.from), edge.from], down = [...groupsAround(model, edge.to), edge.to];
  let common = 0;
  while (up[common] === down[common]) common += 1;
  const hops = [];
  for (let i = up.length - 1; i > common; i -= 1) hops.push({ room: up[i - 1], from: up[i], to: `out:${edge.from}` });
  hops.push({ room: common ? up[common - 1] : null, from: up[common], to: down[common] });
  for (let i = common + 1; i < down.length; i += 1) hops.push({ room: down[i - 1], from: `in:${edge.from}`, to: down[i] });
  return { source: edge.from, hops };
}

// A group that looks as it did before is laid out as it was.
function roomFor(model, inside, hops, sizes, rooms, id) {
  const members = inside.get(id).map((member) => [member, sizeOf(rooms.get(member) ?? sizes.get(member))]);
  const key = JSON.stringify([id, members, hops.get(id)]);
  model.rooms ??= new Map();
  if (!model.rooms.has(key)) model.rooms.set(key, layOutRoom(model, inside, hops, sizes, rooms, id));
  return model.rooms.get(key);
}

function layOutRoom(model, inside, hops, sizes, rooms, id) {
  const members = inside.get(id), graph = new dagre.graphlib.Graph({ multigraph: true });
  const ranker = members.length > 600 ? "longest-path" : members.length > 200 ? "tight-tree" : "network-simplex";
  graph.setGraph({ ...SPACING, ranker });
  for (const hop of hops.get(id)) addPorts(graph, hop);
  for (const member of members) graph.setNode(member, rooms.has(member) ? sizeOf(rooms.get(member)) : { ...sizes.get(member) });
  for (const hop of hops.get(id)) {
    const light = ["parameter", "constant"].includes(model.items.get(hop.source).kind);
    graph.setEdge(hop.from, hop.to, { weight: light ? 1 : 3 }, hop.source);
  }
  holdEnds(graph, members);
  dagre.layout(graph);
  return roomOf(id, members, graph);
}

// What nothing in the group feeds is no higher than the ports, what feeds nothing in it no lower.
function holdEnds(graph, members) {
  for (const member of members) {
    if (graph.hasNode("top") && !graph.inEdges(member).length) graph.setEdge("top", member, { weight: 0 }, "hold");
    if (graph.hasNode("bottom") && !graph.outEdges(member).length) graph.setEdge(member, "bottom", { weight: 0 }, "hold");
  }
}

function addPorts(graph, hop) {
  if (hop.from.startsWith("in:")) addPort(graph, hop.from, "top");
  if (hop.to.startsWith("out:")) addPort(graph, hop.to, "bottom");
}

// Where several lines enter a group for the same box in it, their ports are in the order of arrival from the left.
function untangle(rooms, hops, id) {
  for (const inner of new Set(hops.get(id).map((hop) => hop.to).filter((to) => rooms.has(to)))) {
    const room = rooms.get(inner), entering = hops.get(inner).filter((hop) => hop.from.startsWith("in:"));
    const arrivals = new Map(hops.get(id).filter((hop) => hop.to === inner).map((hop) => [hop.source, arrivesFrom(rooms.get(id), hop)]));
    for (const target of new Set(entering.map((hop) => hop.to))) {
      const ports = entering.filter((hop) => hop.to === target && entering.filter((other) => other.from === hop.from).length === 1);
      const free = ports.map((hop) => room.ports.get(hop.from)).sort((a, b) => a - b);
      ports.sort((a, b) => arrivals.get(a.source) - arrivals.get(b.source)).forEach((hop, i) => room.ports.set(hop.from, free[i]));
    }
  }
}

function arrivesFrom(room, hop) {
  const kept = room.lines.get(lineKey(hop.from, hop.to, hop.source)).filter((p) => rankAt(room, p.y));
  return kept.at(-1)?.x ?? room.boxes.get(hop.from)?.x ?? room.ports.get(hop.from);
}

function rankAt(room, y) {
  return room.ranks.find((rank) => Math.abs(rank.y - y) < 1);
}

function sizeOf(room) {
  return { width: room.width, height: room.height };
}

// Ports hang on an unseen node, which keeps them all in the first rank, or in the last.
function addPort(graph, port, end) {
  if (graph.hasNode(port)) return;
  graph.setNode(port, { width: 2, height: 0 });
  graph.setNode(end, { width: 0, height: 0 });
  graph.setEdge(...(end === "top" ? [end, port] : [port, end]), { weight: 100 }, "hold");
}

function roomOf(id, members, graph) {
  const boxes = new Map(members.map((member) => [member, graph.node(member)]));
  const ports = graph.nodes().filter((name) => /^(in|out):/.test(name)).map((name) => [name, graph.node(name)]);
  const extents = [...boxes.values(), ...ports.map(([, at]) => at)];
  const lines = graph.edges().filter((edge) => edge.name !== "hold").map((edge) => [lineKey(edge.v, edge.w, edge.name), graph.edge(edge).points]);
  const inner = lines.flatMap(([, points]) => points);
  const left = Math.min(...extents.map((b) => b.x - b.width / 2), ...inner.map((p) => p.x)) - SIDE;
  const right = Math.max(...extents.map((b) => b.x + b.width / 2), ...inner.map((p) => p.x)) + SIDE;
  const top = Math.min(...[...boxes.values()].map((b) => b.y - b.height / 2)) - (id === null ? SIDE : HEAD + 8);
  const bottom = Math.max(...[...boxes.values()].map((b) => b.y + b.height / 2)) + FOOT;
  const shift = (p) => ({ ...p, x: p.x - left, y: p.y - top });
  return {
    width: Math.max(right - left, 120), height: bottom - top, ranks: ranksOf([...boxes.values()].map(shift)),
    boxes: new Map([...boxes].map(([name, b]) => [name, shift(b)])),
    ports: new Map(ports.map(([name, p]) => [name, p.x - left])), portRanks: new Map(ports.map(([name, p]) => [name, p.y - top])),
    lines: new Map(lines.map(([key, points]) => [key, points.slice(1, -1).map(shift)])),
  };
}

function lineKey(from, to, source) {
  return `${from} ${to} ${source}`;
}

function ranksOf(boxes) {
  const ranks = new Map();
  for (const box of boxes) {
    const rank = ranks.get(Math.round(box.y)) ?? { y: box.y, half: 0 };
    ranks.set(Math.round(box.y), { y: box.y, half: Math.max(rank.half, box.height / 2) });
  }
  return [...ranks.values()];
}

function place(rooms, id, left, top, places) {
  const room = rooms.get(id);
  room.left = left;
  room.top = top;
  for (const [member, box] of room.boxes) {
    const at = { x: left + box.x, y: top + box.y, width: box.width, height: box.height };
    places.set(member, at);
    if (rooms.has(member)) place(rooms, member, at.x - at.width / 2, at.y - at.height / 2, places);
  }
}

function tracePoints({ source, hops }, rooms, places) {
  const points = [];
  hops.forEach((hop, i) => {
    const room = rooms.get(hop.room);
    if (i === 0) points.push(bottomOf(places.get(hop.from)), ...rankEdge(room, places.get(hop.from), 1));
    if (i > 0 && hop.from.startsWith("in:")) points.push(...pastPort(room, hop.from));
    for (const p of room.lines.get(lineKey(hop.from, hop.to, source))) points.push(...pastRank(room, p));
    if (hop.to.startsWith("out:")) {
      points.push(...pastPort(room, hop.to));
      points.push({ x: room.left + room.ports.get(hop.to), y: room.top + room.height });
    } else if (i + 1 < hops.length) { // into the next group
      const next = rooms.get(hop.to);
      points.push({ x: next.left + next.ports.get(hops[i + 1].from), y: next.top });
    } else {
      points.push(...rankEdge(room, places.get(hop.to), -1), topOf(places.get(hop.to)));
    }
  });
  return points;
}

function bottomOf(box) {
  return { x: box.x, y: box.y + box.height / 2 };
}

function topOf(box) {
  return { x: box.x, y: box.y - box.height / 2 };
}

// Straight on as far as the tallest box of the rank, so that a line does not cut its neighbour's corner.
function rankEdge(room, box, side) {
  const rank = rankAt(room, box.y - room.top);
  if (!rank || rank.half - box.height / 2 < 2) return [];
  return [{ x: box.x, y: room.top + rank.y + side * rank.half }];
}

function pastPort(room, port) {
  return pastRank(room, { x: room.ports.get(port), y: room.portRanks.get(port) });
}

function pastRank(room, p) {
  const at = { x: room.left + p.x, y: room.top + p.y };
  const rank = rankAt(room, p.y);
  return rank ? [{ x: at.x, y: at.y - rank.half }, { x: at.x, y: at.y + rank.half }] : []; // between ranks nothing is in the way
}

// Several arrows into one box arrive side by side.
function spreadArrivals(edges, places) {
  const arrivals = new Map();
  for (const edge of edges) arrivals.set(edge.to, [...(arrivals.get(edge.to) ?? []), edge]);
  for (const [to, found] of arrivals) {
    const box = places.get(to), gap = Math.min(18, (box.width * 0.7) / found.length);
    found.sort((a, b) => a.points.at(-2).x - b.points.at(-2).x);
    found.forEach((edge, i) => {
      const x = box.x + (i - (found.length - 1) / 2) * gap;
      for (let k = edge.points.length - 1; k > 0 && edge.points[k].x === box.x && k > edge.points.length - 3; k -= 1) edge.points[k] = { ...edge.points[k], x };
      edge.points[edge.points.length - 1].x = x;
    });
  }
}

// A smooth line through points that go down the page.
function curve(points) {
  const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  let path = `M${at(points[0].x, points[0].y)}`;
  for (let i = 1; i < points.length; i += 1) {
    const a = points[i - 1], b = points[i], middle = (a.y + b.y) / 2;
    path += Math.abs(a.x - b.x) < 0.5 ? `L${at(b.x, b.y)}` : `C${at(a.x, middle)} ${at(b.x, middle)} ${at(b.x, b.y)}`;
  }
  return path;
}
