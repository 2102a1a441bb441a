// The record as items and edges, and what of it is on the screen while some groups are closed.
// An item is an operation, an argument, a constant, an output, or a group (a scope of the program).

function makeModel(record) {
  const model = { items: new Map(), edges: [], order: [], valueNames: new Map(), operations: record.nodes.length };
  record.scopes.forEach((scope, i) => addGroup(model, scope, i));
  record.arguments.forEach((entry, i) => addSource(model, entry, `a${i}`, record));
  record.constants.forEach((entry, i) => addSource(model, entry, `c${i}`, record));
  record.nodes.forEach((node, i) => addOperation(model, node, i, record));
  record.outputs.forEach((value, i) => addOutput(model, value, i, record));
  dissolveSmallGroups(model);
  for (const item of model.items.values()) if (item.parent) model.items.get(item.parent).children.push(item.id);
  connect(model);
  nameWhatLeaves(model);
  return model;
}

function addGroup(model, scope, i) {
  model.items.set(`s${i}`, {
    id: `s${i}`, kind: "group", name: scope.name, label: scope.label, operation: "", type: "",
    parent: scope.parent < 0 ? null : `s${scope.parent}`, children: [], takes: [], gives: [], size: 0,
  });
}

function addSource(model, entry, id, record) {
  model.valueNames.set(entry.value, entry.name);
  addItem(model, {
    id, kind: entry.kind, name: entry.name, label: entry.name, operation: entry.kind, type: record.values[entry.value],
    parent: entry.scope < 0 ? null : `s${entry.scope}`, takes: [], gives: [entry.value],
  });
}

function addOperation(model, node, i, record) {
  node.outputs.forEach((value, k) => model.valueNames.set(value, node.outputs.length > 1 ? `${node.name}/${k}` : node.name));
  addItem(model, {
    id: `n${i}`, kind: "operation", number: i, name: node.name, label: lastPart(node.name), operation: node.operation,
    type: record.values[node.outputs[0]] ?? "", parent: node.scope < 0 ? null : `s${node.scope}`,
    takes: node.inputs, gives: node.outputs, literals: node.literals, source: node.source,
  });
  for (let scope = node.scope; scope >= 0; scope = record.scopes[scope].parent) model.items.get(`s${scope}`).size += 1;
}

function addOutput(model, value, i, record) {
  const label = record.outputs.length > 1 ? `output/${i}` : "output";
  addItem(model, {
    id: `o${i}`, kind: "output", name: label, label, operation: "output", type: record.values[value],
    parent: null, takes: [value], gives: [],
  });
}

function addItem(model, item) {
  model.items.set(item.id, item);
  model.order.push(item.id);
}

function lastPart(name) {
  return name.slice(name.lastIndexOf("/") + 1) || name;
}

// A group of one operation is that operation, under the group's name.
function dissolveSmallGroups(model) {
  for (const group of [...model.items.values()].filter((item) => item.kind === "group" && item.size < 2).reverse()) {
    for (const item of model.items.values()) {
      if (item.parent !== group.id) continue;
      item.parent = group.parent;
      if (item.kind === "operation") item.label = group.label;
    }
    model.items.delete(group.id);
  }
}

function connect(model) {
  const producers = new Map();
  for (const id of model.order) for (const value of model.items.get(id).gives) producers.set(value, id);
  for (const id of model.order) {
    for (const value of new Set(model.items.get(id).takes)) {
      if (producers.has(value)) model.edges.push({ from: producers.get(value), to: id, value });
    }
  }
}

// A group gives what leaves it; of several the last, which is its result.
function nameWhatLeaves(model) {
  for (const edge of model.edges) {
    const around = groupsAround(model, edge.to), from = model.items.get(edge.from);
    if (from.kind !== "operation") continue;
    for (const group of groupsAround(model, edge.from)) if (!around.includes(group)) model.items.get(group).type = from.type;
  }
}

function groupsAround(model, id) {
  const around = [];
  for (let at = model.items.get(id).parent; at; at = model.items.get(at).parent) around.unshift(at);
  return around;
}

// What stands for an item on the screen: itself, or the outermost closed group around it.
function shownAs(model, open, id) {
  return groupsAround(model, id).find((group) => !open.has(group)) ?? id;
}

// The boxes, open groups and edges to draw. Edges between the same two boxes are one.
function visible(model, open) {
  const boxes = new Set(), groups = new Set(), edges = new Map();
  for (const id of model.order) {
    boxes.add(shownAs(model, open, id));
    for (const group of groupsAround(model, id)) {
      if (!open.has(group)) break;
      groups.add(group);
    }
  }
  for (const edge of model.edges) {
    const from = shownAs(model, open, edge.from), to = shownAs(model, open, edge.to);
    if (from === to) continue;
    const key = `${from}>${to}`;
    if (!edges.has(key)) edges.set(key, { key, from, to, parts: [] });
    edges.get(key).parts.push(edge);
  }
  return { boxes: [...boxes], groups: [...groups], edges: [...edges.values()] };
}
