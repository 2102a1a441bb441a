// The backward sweep: after k steps, which operations have sent their gradients back, and along which edges.

function makeSweep(record, model) {
  const steps = record.steps ?? [];
  const place = new Map(steps.map((step, k) => [`n${step.node}`, k + 1])); // an operation's step, counted from 1
  const sent = steps.map((step) => new Set([...step.g_in, ...step.g_parameters].filter((flow) => flow.array !== null).map((flow) => flow.name)));
  return { steps, place, sent, at: 0, length: steps.length, counts: countSteps(model, place), last: lastStepInto(steps) };
}

// For every group, the steps inside of it in order.
function countSteps(model, place) {
  const counts = new Map();
  for (const [id, k] of place) for (const group of groupsAround(model, id)) counts.set(group, [...(counts.get(group) ?? []), k]);
  return counts;
}

// For every argument, the steps that send it a gradient.
function lastStepInto(steps) {
  const into = new Map();
  steps.forEach((step, k) => {
    for (const flow of [...step.g_in, ...step.g_parameters]) if (flow.array !== null) into.set(flow.name, [...(into.get(flow.name) ?? []), k + 1]);
  });
  return into;
}

function stepsOf(sweep, item) {
  if (item.kind === "group") return sweep.counts.get(item.id) ?? [];
  if (item.kind === "operation") return sweep.place.has(item.id) ? [sweep.place.get(item.id)] : [];
  if (item.kind === "output") return sweep.length ? [1] : [];
  return sweep.last.get(item.name) ?? [];
}

// "untouched" by any gradient, "waiting" for it, "current", "begun" or "done"; and how far.
function statusOf(sweep, item) {
  const steps = stepsOf(sweep, item);
  if (!steps.length) return { state: "untouched", share: 0 };
  const done = steps.filter((k) => k <= sweep.at).length;
  const own = item.kind === "operation" || item.kind === "group";
  if (own && sweep.at && steps.includes(sweep.at)) return { state: "current", share: done / steps.length };
  return { state: done === steps.length ? "done" : done ? "begun" : "waiting", share: done / steps.length };
}

// Whether a gradient has come back along an edge, and whether it came with this very step.
function flowOf(sweep, model, edge) {
  const back = edge.parts.map((part) => arrival(sweep, model, part)).filter((k) => k !== null && k <= sweep.at);
  if (!back.length) return "";
  return sweep.at && back.includes(sweep.at) ? "flowing" : "flowed";
}

function arrival(sweep, model, part) {
  const to = model.items.get(part.to), from = model.items.get(part.from);
  if (to.kind === "output") return sweep.length ? 1 : null;
  const k = sweep.place.get(part.to);
  if (k === undefined) return null;
  const named = sweep.sent[k - 1].has(model.valueNames.get(part.value));
  return named || sweep.place.has(from.id) ? k : null;
}

// The step at which the next box on the screen takes over.
function strideFrom(sweep, shown, direction) {
  const whose = (k) => (k > 0 ? shown(`n${sweep.steps[k - 1].node}`) : null);
  let k = sweep.at;
  const here = whose(k);
  do k += direction; while (k > 0 && k < sweep.length && whose(k) === here);
  return Math.min(Math.max(k, 0), sweep.length);
}
