// Every key and button, and what it does.

function actionsOf(page) {
  const { sweep } = page;
  const sweeping = (action) => (sweep.length ? action : null);
  return {
    ArrowRight: sweeping(() => page.goTo(sweep.at + 1)) ?? (() => focusBox(page, neighbour(page, 1))),
    ArrowLeft: sweeping(() => page.goTo(sweep.at - 1)) ?? (() => focusBox(page, neighbour(page, -1))),
    "Shift+ArrowRight": sweeping(() => page.goTo(strideFrom(sweep, page.shown, 1))),
    "Shift+ArrowLeft": sweeping(() => page.goTo(strideFrom(sweep, page.shown, -1))),
    Home: sweeping(() => page.goTo(0)) ?? (() => focusBox(page, neighbour(page, -Infinity))),
    End: sweeping(() => page.goTo(sweep.length)) ?? (() => focusBox(page, neighbour(page, Infinity))),
    " ": sweeping(() => play(page)),
    ArrowDown: () => focusBox(page, neighbour(page, 1)),
    ArrowUp: () => focusBox(page, neighbour(page, -1)),
    Enter: () => activate(page, page.focused),
    Escape: () => stepOut(page),
    "/": () => $("search").focus(),
    e: () => setAll(page, true),
    c: () => setAll(page, false),
    "+": () => zoomTo(page, page.scale * 1.25),
    "=": () => zoomTo(page, page.scale * 1.25),
    "-": () => zoomTo(page, page.scale / 1.25),
    0: () => zoomTo(page, 1),
    f: () => zoomTo(page, fittingScale(page)),
    t: changeTheme,
    s: () => saveSvg(page),
    "?": () => $("help").showModal(),
  };
}

const BUTTONS = { "open-all": "e", "close-all": "c", "zoom-in": "+", "zoom-out": "-", "zoom-level": "0", "zoom-fit": "f", "save-svg": "s", theme: "t", "help-button": "?", first: "Home", back: "ArrowLeft", forward: "ArrowRight", last: "End", play: " " };

function wireKeys(page) {
  const actions = actionsOf(page);
  for (const [id, key] of Object.entries(BUTTONS)) $(id).addEventListener("click", () => actions[key]?.());
  document.addEventListener("keydown", (event) => {
    const inField = event.target.closest("input, dialog"), onButton = event.target.closest("button, a, summary");
    if (event.ctrlKey || event.metaKey || event.altKey || inField || $("help").open) return;
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    const action = actions[event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function wireMouse(page) {
  page.picture.svg.addEventListener("click", (event) => {
    const made = event.target.closest("[role=button]");
    if (!made) return;
    page.focused = made.dataset.id;
    activate(page, made.dataset.id);
    focusBox(page, page.focused);
  });
  page.picture.svg.addEventListener("focusin", (event) => { page.focused = event.target.closest("[role=button]")?.dataset.id ?? page.focused; });
  $("at").addEventListener("input", () => page.goTo(Number($("at").value)));
  wireDragging($("canvas"));
  wireWheel(page, $("canvas"));
  wireSearch(page, $("search"), $("found"));
}

function activate(page, id) {
  if (!id) return;
  if (page.model.items.get(id).kind === "group") page.toggle(id);
  else page.select(id);
}

// Escape: first the details, then the group around.
function stepOut(page) {
  stop(page);
  if (page.selected) { page.select(null); focusBox(page, page.focused); return; }
  const around = page.focused ? groupsAround(page.model, page.focused) : [];
  const group = page.open.has(page.focused) ? page.focused : around.at(-1);
  if (group && page.open.has(group)) { page.toggle(group); page.select(null); }
}

const PACE = 900;

function play(page) {
  if (page.playing) { stop(page); return; }
  if (page.sweep.at === page.sweep.length) page.goTo(0);
  page.playing = setInterval(() => {
    page.goTo(page.sweep.at + 1);
    if (page.sweep.at === page.sweep.length) stop(page);
  }, PACE);
  showPlaying(true);
}

function stop(page) {
  clearInterval(page.playing);
  page.playing = null;
  showPlaying(false);
}

function showPlaying(playing) {
  $("play").setAttribute("aria-pressed", String(playing));
  $("play").setAttribute("aria-label", playing ? "Stop" : "Play");
  $("play").textContent = playing ? "❚❚" : "Play";
}
