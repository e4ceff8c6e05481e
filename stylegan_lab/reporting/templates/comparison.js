"use strict";
// The page of a comparison: sorting, filtering, the slider over iterations. The state is kept in the address after #.
const $ = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const data = JSON.parse($("page-data").textContent); // {rows: [{text, values}], runs: [name], samples: [{name, images, row_names}]}
const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const hidden = new Set((state.hide || "").split(",").filter(Boolean).map(Number));

function remember(key, value) {
  if (value === "" || value === null || value === undefined) delete state[key];
  else state[key] = value;
  history.replaceState(null, "", `#${new URLSearchParams(state)}`);
}

all("nav a").forEach((link) => link.addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the state
  const heading = document.querySelector(link.getAttribute("href")).querySelector("h2");
  heading.tabIndex = -1;
  heading.focus();
  heading.scrollIntoView();
}));

// ---- sorting
function sort(name, descending) {
  const head = all("#table thead th[data-key]").find((each) => each.dataset.key === name || each.dataset.key.endsWith(`/${name}`));
  if (!head) return;
  const column = head.cellIndex;
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const number = (row) => (value(row) === "" ? NaN : Number(value(row)));
  const rows = all("#table tbody tr");
  const numeric = rows.some((row) => value(row) !== "") && rows.every((row) => value(row) === "" || !Number.isNaN(number(row)));
  const compare = (a, b) => {
    if ((value(a) === "") !== (value(b) === "")) return value(a) === "" ? 1 : -1; // rows without a value come last
    const protocols = Number(a.cells[column].dataset.protocol ?? 0) - Number(b.cells[column].dataset.protocol ?? 0);
    if (protocols) return protocols; // scores of different protocols are not mixed
    const order = numeric ? number(a) - number(b) : value(a).localeCompare(value(b), undefined, { numeric: true });
    return (descending ? -1 : 1) * (order || 0) || a.dataset.row - b.dataset.row;
  };
  rows.sort(compare).forEach((row) => row.parentNode.append(row));
  const figures = new Map(all("#samples figure").map((figure) => [figure.dataset.row, figure]));
  rows.forEach((row) => figures.has(row.dataset.row) && $("samples").append(figures.get(row.dataset.row)));
  all("#table thead th").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  remember("sort", name);
  remember("desc", descending ? 1 : "");
}

all("#table thead button").forEach((button) => button.addEventListener("click", () => {
  const head = button.closest("th");
  const current = head.getAttribute("aria-sort");
  const first = head.dataset.direction === "higher" ? "descending" : "ascending"; // the best comes first
  sort(head.dataset.key, (current === null ? first : current === "ascending" ? "descending" : "ascending") === "descending");
}));

// ---- filtering: words that a row must contain, key=value, score>number
function matches(row, word) {
  const parts = /^(.+?)([<>]=?)(-?[\d.]+(?:e-?\d+)?)$/i.exec(word);
  if (!parts) return row.text.includes(word.toLowerCase());
  const name = Object.keys(row.values).find((each) => each === parts[1] || each.endsWith(`/${parts[1]}`));
  if (name === undefined || row.values[name] === null) return false;
  const [value, bound] = [row.values[name], Number(parts[3])];
  return parts[2][0] === "<" ? value < bound || (parts[2] === "<=" && value === bound) : value > bound || (parts[2] === ">=" && value === bound);
}

function update() {
  const words = $("filter").value.split(/\s+/).filter(Boolean);
  const shown = data.rows.map((row) => words.every((word) => matches(row, word)));
  all("#table tbody tr").forEach((tr) => (tr.hidden = !shown[tr.dataset.row]));
  all("[data-row]:not(tr)").forEach((each) => each.toggleAttribute("hidden", !shown[each.dataset.row] || hidden.has(Number(each.dataset.row))));
  all("path[data-row]").forEach((each) => (each.style.display = each.hasAttribute("hidden") ? "none" : ""));
  all("#settings [data-column]").forEach((each) => (each.hidden = !shown[each.dataset.column]));
  $("count").textContent = `${shown.filter(Boolean).length} of ${data.rows.length} rows`;
  remember("filter", $("filter").value);
  remember("hide", [...hidden].join(","));
}

$("filter").addEventListener("input", update);
all("#table tbody input[type=checkbox]").forEach((box) => {
  const row = Number(box.closest("tr").dataset.row);
  box.checked = !hidden.has(row);
  box.addEventListener("change", () => (box.checked ? hidden.delete(row) : hidden.add(row), update()));
});

// ---- highlight the curves of the row that is pointed at or has the focus
function highlight(row) {
  all(".panels").forEach((each) => each.classList.toggle("dimmed", row !== null));
  all("[data-row].highlighted").forEach((each) => each.classList.remove("highlighted"));
  if (row !== null) all(`path[data-row="${row}"], tr[data-row="${row}"]`).forEach((each) => each.classList.add("highlighted"));
}
all("#table tbody tr").forEach((tr) => {
  for (const event of ["mouseenter", "focusin"]) tr.addEventListener(event, () => highlight(tr.dataset.row));
  for (const event of ["mouseleave", "focusout"]) tr.addEventListener(event, () => highlight(null));
});

// ---- samples
function showSamples(index) {
  const { name, images, row_names: rowNames } = data.samples[index];
  const label = name === "evaluation" ? "evaluation" : `iteration ${Number(name).toLocaleString("en")}`;
  $("iteration").textContent = `${label}, ${Object.keys(images).length} of ${data.runs.length} runs`;
  $("slider").setAttribute("aria-valuetext", label);
  all("#samples figure").forEach((figure) => {
    const run = figure.querySelector("select")?.value ?? figure.dataset.run;
    const source = images[run];
    const [image, none] = [figure.querySelector("img"), figure.querySelector(".none")];
    image.hidden = !source;
    const names = figure.querySelector(".row-names"); // what the rows of the image are, if it is recorded
    names.replaceChildren(...(rowNames[run] ?? []).map((each) => Object.assign(document.createElement("span"), { textContent: each })));
    names.hidden = !names.children.length;
    none.hidden = Boolean(source);
    if (source) image.src = source;
    image.onload = () => image.classList.toggle("coarse", image.clientWidth > 2 * image.naturalWidth);
    image.alt = `${data.runs[run]}, ${label}`;
    const others = data.samples.filter((each) => each.images[run]).map((each) => each.name);
    none.textContent = `none at ${label}` + (others.length ? `; available: ${others.join(", ")}` : "");
  });
  const iteration = Number(name);
  all("svg[data-max-iteration]").forEach((svg) => {
    const line = svg.querySelector(".now");
    const [low, high] = [Number(svg.dataset.minIteration), Number(svg.dataset.maxIteration)];
    const share = "log" in svg.dataset ? Math.log(Math.max(iteration, low) / low) / Math.log(high / low) : iteration / high;
    const offset = share * (svg.dataset.right - svg.dataset.left);
    const visible = Number.isFinite(iteration) && iteration <= svg.dataset.maxIteration;
    line.style.visibility = visible ? "visible" : "hidden";
    if (visible) line.setAttribute("transform", `translate(${offset} 0)`);
  });
  remember("iteration", name);
}

if (data.samples.length) {
  const wanted = data.samples.findIndex((each) => each.name === state.iteration);
  $("slider").value = wanted >= 0 ? wanted : data.samples.length - 1;
  $("slider").addEventListener("input", () => showSamples(Number($("slider").value)));
  all("#samples select").forEach((select) => select.addEventListener("change", () => showSamples(Number($("slider").value))));
  $("image-width").addEventListener("input", () => $("samples").style.setProperty("--image-width", `${$("image-width").value}px`));
}

// ---- settings: mark values that differ from those of the reference row
function markChanges(reference) {
  all("#settings tbody tr").forEach((tr) => {
    const cells = all("td", tr);
    const expected = cells[reference].textContent;
    cells.forEach((cell) => cell.classList.toggle("changed", cell.textContent !== expected));
  });
  remember("reference", reference || "");
}
if ($("reference")) {
  $("reference").value = state.reference || "0";
  $("reference").addEventListener("change", () => markChanges(Number($("reference").value)));
  markChanges(Number($("reference").value));
}

$("filter").value = state.filter || "";
if (state.sort) sort(state.sort, Boolean(state.desc));
update();
if (data.samples.length) showSamples(Number($("slider").value));
document.documentElement.dataset.ready = "yes";
