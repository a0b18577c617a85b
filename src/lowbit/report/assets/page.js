// SPDX-License-Identifier: Apache-2.0
// Sorting and filtering of tables, charts in the colours of the page, dark and light, and printing.
"use strict";

const root = document.documentElement;
const figures = JSON.parse(document.getElementById("figures").textContent);
const NARROW = 480, LEGEND_LINE = 24;  // pixels
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function compare(one, other) {
  const numbers = [Number.parseFloat(one.replace("\u2212", "-")), Number.parseFloat(other.replace("\u2212", "-"))];
  if (numbers.every((number) => !Number.isNaN(number)) && numbers[0] !== numbers[1]) return numbers[0] - numbers[1];
  return one.localeCompare(other, "en", { numeric: true });
}

function sort(table, index, direction) {
  const body = table.tBodies[0];
  const key = (row) => row.cells[index].dataset.key;
  const rows = [...body.rows].sort((one, other) => {
    if (key(one) === "" || key(other) === "") return (key(one) === "") - (key(other) === "");  // missing ones last
    return direction * compare(key(one), key(other));
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, index, ascending ? 1 : -1);
    });
  });
}

for (const filters of document.querySelectorAll(".filters")) {
  const section = filters.parentElement;
  const rows = [...section.querySelectorAll("table.sortable tbody tr")];
  const words = filters.querySelector(".filter");
  const apply = () => {
    const off = [...filters.querySelectorAll(".family[aria-pressed=false]")].map((button) => button.dataset.family);
    for (const row of rows) {
      const named = row.dataset.recipe.toLowerCase().includes(words.value.trim().toLowerCase());
      row.hidden = !named || off.includes(row.dataset.family);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    filters.querySelector(".count").textContent = `${shown} of ${rows.length} rows`;
  };
  words.addEventListener("input", apply);
  for (const button of filters.querySelectorAll(".family")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
      apply();
    });
  }
}

// Values that begin with "--" are colours of the style sheet.
function coloured(value, style) {
  if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
  if (Array.isArray(value)) return value.map((one) => coloured(one, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one, style)]));
  }
  return value;
}

function draw() {
  const style = getComputedStyle(root);
  const [ink, line] = [style.getPropertyValue("--ink").trim(), style.getPropertyValue("--line").trim()];
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  for (const [name, figure] of Object.entries(figures)) {
    const { data, layout } = coloured(figure, style);
    const place = document.getElementById(name);
    place.dataset.height ??= Number.parseInt(place.style.height, 10);
    const narrow = place.clientWidth < NARROW;
    if (narrow) data.filter((one) => one.texttemplate).forEach((one) => { one.texttemplate = ""; });  // too small to read
    const legend = narrow ? LEGEND_LINE * data.filter((one) => one.name).length : 0;  // one entry a line
    place.style.height = `${Number(place.dataset.height) + legend}px`;
    Plotly.react(name, data, {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, family: "inherit" },
      xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
      width: place.clientWidth, height: Number(place.dataset.height) + legend,
      legend: { ...layout.legend, ...(narrow ? { maxheight: 2 * legend } : {}) },
    }, { responsive: true, displaylogo: false, displayModeBar: false });
  }
}

addEventListener("resize", () => draw());

function choose(theme) {
  root.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.setAttribute("aria-pressed", String(theme === "dark"));
  draw();
}

document.getElementById("theme").addEventListener("click", () => choose(root.dataset.theme === "dark" ? "light" : "dark"));
prefersDark.addEventListener("change", (event) => choose(event.matches ? "dark" : "light"));
choose(prefersDark.matches ? "dark" : "light");

// On paper everything is open, light, and as wide as the paper.
let before;
addEventListener("beforeprint", () => {
  before = { theme: root.dataset.theme, closed: [...document.querySelectorAll("details:not([open])")] };
  before.closed.forEach((one) => { one.open = true; });
  root.classList.add("printing");
  choose("light");
});
addEventListener("afterprint", () => {
  before.closed.forEach((one) => { one.open = false; });
  root.classList.remove("printing");
  choose(before.theme);
});
