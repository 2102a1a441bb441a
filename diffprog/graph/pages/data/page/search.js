// Search by name: what contains the text, the beginnings of names first.

function searchFor(model, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const found = [...model.items.values()].filter((item) => item.name.toLowerCase().includes(wanted));
  const rank = (item) => { const name = item.name.toLowerCase(); return name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2; };
  return found.sort((a, b) => rank(a) - rank(b) || a.name.length - b.name.length).slice(0, 12);
}

function wireSearch(page, input, list) {
  let results = [], chosen = 0;
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const pick = (item) => { close(); input.value = ""; page.reveal(item.id); };
  const render = () => {
    list.replaceChildren(...results.map((item, i) => html("li", { role: "option", id: `found-${i}`, "aria-selected": String(i === chosen), onmousedown: (event) => { event.preventDefault(); pick(item); } },
      html("span", {}, item.name), html("span", { class: "small" }, item.kind === "group" ? "group" : item.operation))));
    if (!results.length) list.append(html("li", { class: "none" }, "no such name"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (results.length) input.setAttribute("aria-activedescendant", `found-${chosen}`);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", () => { results = searchFor(page.model, input.value); chosen = 0; if (input.value.trim()) render(); else close(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && results.length) { chosen = (chosen + step + results.length) % results.length; render(); event.preventDefault(); }
    if (event.key === "Enter" && results[chosen] && !list.hidden) pick(results[chosen]);
    if (event.key === "Escape") { if (list.hidden) page.focusBox(); input.value = ""; close(); event.preventDefault(); }
    event.stopPropagation();
  });
}
