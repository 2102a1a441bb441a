"use strict";
(() => {
  const all = [...document.querySelectorAll("figure")];
  const search = document.getElementById("search");
  const order = document.getElementById("order");
  const dialog = document.getElementById("unit");
  const layerOf = (figure) => figure.closest("section").dataset.layer;

  // Words are parts of the layer's name; a number is a channel; "> 3.5" and "< 1" are bounds of the score.
  function matches(figure, query) {
    const text = query.toLowerCase().replace(/([<>])\s+/g, "$1").replace(/[:,]/g, " ");
    return text.split(/\s+/).filter(Boolean).every((word) => {
      const score = Number(figure.dataset.score);
      if (word[0] === ">") return score > Number(word.slice(1));
      if (word[0] === "<") return score < Number(word.slice(1));
      if (/^\d+$/.test(word) && figure.dataset.channel === word) return true;
      return !/^\d+$/.test(word) && layerOf(figure).toLowerCase().includes(word);
    });
  }

  function show() {
    let count = 0;
    for (const figure of all) {
      figure.hidden = !matches(figure, search.value);
      count += !figure.hidden;
    }
    for (const section of document.querySelectorAll("section")) {
      section.hidden = !section.querySelector("figure:not([hidden])");
    }
    document.getElementById("shown").textContent = `${count} of ${all.length} units`;
  }

  function sort() {
    const by = order.value === "score" ? (f) => -Number(f.dataset.score) : (f) => Number(f.dataset.channel);
    for (const units of document.querySelectorAll(".units")) {
      units.append(...[...units.children].sort((a, b) => by(a) - by(b)));
    }
  }

  function row(list, name, value) {
    const term = document.createElement("dt"), told = document.createElement("dd");
    term.textContent = name;
    told.textContent = value;
    list.append(term, told);
  }

  function open(figure) {
    const name = `${layerOf(figure)}:${figure.dataset.channel}`;
    const numbers = document.getElementById("numbers");
    const beside = document.getElementById("beside");
    document.getElementById("name").textContent = name;
    const large = document.getElementById("large");
    large.src = figure.querySelector("img").src;
    large.alt = `what ${name} wants`;
    beside.replaceChildren(...[...figure.querySelectorAll(".natural img")].map((image) => image.cloneNode()));
    numbers.replaceChildren();
    row(numbers, "score as it is", Number(figure.dataset.score).toFixed(3));
    row(numbers, "seen through the transforms", Number(figure.dataset.robust).toFixed(3));
    row(numbers, "stopped", figure.dataset.stopped);
    row(numbers, "key", figure.dataset.key);
    document.getElementById("again").textContent = `diffprog redraw ${figure.querySelector("img").getAttribute("src")}`;
    dialog.showModal();
  }

  search.addEventListener("input", show);
  order.addEventListener("change", sort);
  for (const figure of all) {
    figure.addEventListener("click", () => open(figure));
    figure.addEventListener("keydown", (event) => {
      if (event.key === "Enter") open(figure);
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  show();
})();
