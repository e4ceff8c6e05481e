"use strict";
// The page of a comparison: sorting, filtering, the slider over iterations. What it shows stands in the address after #.
const $ = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const told = JSON.parse($("told").textContent); // {rows: [{name, runs, words, values}], runs: [name], stops: [{name, pictures}]}
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
  const compare = (one, other) => {
    if ((value(one) === "") !== (value(other) === "")) return value(one) === "" ? 1 : -1; // those without it come last
    const apart = one.cells[column].classList.contains("elsewhere") - other.cells[column].classList.contains("elsewhere");
    if (apart) return apart; // nor are those of another protocol among the others
    const order = numeric ? number(one) - number(other) : value(one).localeCompare(value(other), undefined, { numeric: true });
    return (descending ? -1 : 1) * (order || 0) || one.dataset.row - other.dataset.row;
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
  const now = head.getAttribute("aria-sort");
  const first = head.dataset.better === "higher" ? "descending" : "ascending"; // the best comes first
  sort(head.dataset.key, (now === null ? first : now === "ascending" ? "descending" : "ascending") === "descending");
}));

// ---- filtering: words that a row must have, key=value, score>number
function fits(row, word) {
  const parts = /^(.+?)([<>]=?)(-?[\d.]+(?:e-?\d+)?)$/i.exec(word);
  if (!parts) return row.words.includes(word.toLowerCase());
  const name = Object.keys(row.values).find((each) => each === parts[1] || each.endsWith(`/${parts[1]}`));
  if (name === undefined || row.values[name] === null) return false;
  const [value, bound] = [row.values[name], Number(parts[3])];
  return parts[2][0] === "<" ? value < bound || (parts[2] === "<=" && value === bound) : value > bound || (parts[2] === ">=" && value === bound);
}

function show() {
  const words = $("filter").value.split(/\s+/).filter(Boolean);
  const shown = told.rows.map((row) => words.every((word) => fits(row, word)));
  all("#table tbody tr").forEach((tr) => (tr.hidden = !shown[tr.dataset.row]));
  all("[data-row]:not(tr)").forEach((each) => each.toggleAttribute("hidden", !shown[each.dataset.row] || hidden.has(Number(each.dataset.row))));
  all("path[data-row]").forEach((each) => (each.style.display = each.hasAttribute("hidden") ? "none" : ""));
  all("#settings [data-column]").forEach((each) => (each.hidden = !shown[each.dataset.column]));
  $("count").textContent = `${shown.filter(Boolean).length} of ${told.rows.length} rows`;
  remember("filter", $("filter").value);
  remember("hide", [...hidden].join(","));
}

$("filter").addEventListener("input", show);
all("#table tbody input[type=checkbox]").forEach((box) => {
  const row = Number(box.closest("tr").dataset.row);
  box.checked = !hidden.has(row);
  box.addEventListener("change", () => (box.checked ? hidden.delete(row) : hidden.add(row), show()));
});

// ---- a row's lines stand out while it is pointed at or has the focus
function light(row) {
  all(".panels").forEach((each) => each.classList.toggle("dim", row !== null));
  all("[data-row].lit").forEach((each) => each.classList.remove("lit"));
  if (row !== null) all(`path[data-row="${row}"], tr[data-row="${row}"]`).forEach((each) => each.classList.add("lit"));
}
all("#table tbody tr").forEach((tr) => {
  for (const event of ["mouseenter", "focusin"]) tr.addEventListener(event, () => light(tr.dataset.row));
  for (const event of ["mouseleave", "focusout"]) tr.addEventListener(event, () => light(null));
});

// ---- samples
function stand(at) {
  const stop = told.stops[at];
  const have = Object.keys(stop.pictures).length;
  const what = stop.name === "evaluation" ? "evaluation" : `iteration ${Number(stop.name).toLocaleString("en")}`;
  $("at").textContent = `${what}, ${have} of ${told.runs.length} runs`;
  $("slider").setAttribute("aria-valuetext", what);
  all("#samples figure").forEach((figure) => {
    const run = figure.querySelector("select")?.value ?? figure.dataset.run;
    const picture = stop.pictures[run];
    const [image, none] = [figure.querySelector("img"), figure.querySelector(".none")];
    image.hidden = !picture;
    none.hidden = Boolean(picture);
    if (picture) image.src = picture;
    image.onload = () => image.classList.toggle("coarse", image.clientWidth > 2 * image.naturalWidth);
    image.alt = `${told.runs[run]}, ${what}`;
    const others = told.stops.filter((each) => each.pictures[run]).map((each) => each.name);
    none.textContent = `none at ${what}` + (others.length ? `; there are ${others.join(", ")}` : "");
  });
  const iteration = Number(stop.name);
  all("svg[data-longest]").forEach((svg) => {
    const now = svg.querySelector(".now");
    const [left, right] = [52, 412];
    const x = left + (iteration / svg.dataset.longest) * (right - left);
    const visible = Number.isFinite(iteration) && iteration <= svg.dataset.longest;
    now.style.visibility = visible ? "visible" : "hidden";
    if (visible) now.setAttribute("transform", `translate(${x - left} 0)`);
  });
  remember("iteration", stop.name);
}

if (told.stops.length) {
  const wanted = told.stops.findIndex((stop) => stop.name === state.iteration);
  $("slider").value = wanted >= 0 ? wanted : told.stops.length - 1;
  $("slider").addEventListener("input", () => stand(Number($("slider").value)));
  all("#samples select").forEach((select) => select.addEventListener("change", () => stand(Number($("slider").value))));
  $("across").addEventListener("input", () => $("samples").style.setProperty("--across", `${$("across").value}px`));
}

// ---- settings: what is not as in the row they are held against
function hold(reference) {
  all("#settings tbody tr").forEach((tr) => {
    const cells = all("td", tr);
    const mine = cells[reference].textContent;
    cells.forEach((cell) => cell.classList.toggle("other", cell.textContent !== mine));
  });
  remember("reference", reference || "");
}
if ($("reference")) {
  $("reference").value = state.reference || "0";
  $("reference").addEventListener("change", () => hold(Number($("reference").value)));
  hold(Number($("reference").value));
}

$("filter").value = state.filter || "";
if (state.sort) sort(state.sort, Boolean(state.desc));
show();
if (told.stops.length) stand(Number($("slider").value));
document.documentElement.dataset.ready = "yes";
