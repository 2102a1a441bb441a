// From the record in the page to the page.

function start() {
  const page = makePage(JSON.parse($("record").textContent));
  const { sweep, model } = page;
  document.body.classList.toggle("with-sweep", sweep.length > 0);
  $("sweep").hidden = !sweep.length;
  $("at").max = sweep.length;
  $("subtitle").textContent = `${model.operations} operation${model.operations === 1 ? "" : "s"}${sweep.length ? `, ${sweep.length} steps back` : ""}`;
  openAtFirst(page);
  for (const id of ["open-all", "close-all"]) $(id).hidden = ![...model.items.values()].some((item) => item.kind === "group");
  arrange(page);
  firstView(page);
  page.focused = page.view.boxes.length ? neighbour(page, -Infinity) : null;
  restyle(page);
  showPanel(page);
  wireKeys(page);
  wireMouse(page);
  document.body.classList.add("ready");
}

start();
