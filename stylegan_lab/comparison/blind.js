"use strict";
// A blind judgement: questions in an order of chance, answers kept in the browser until they are saved to a file.
const $ = (id) => document.getElementById(id);
const told = JSON.parse($("told").textContent); // {page, questions: [{id, input, left, right}], pictures}
const rooms = "judgement";
const chance = (below) => crypto.getRandomValues(new Uint32Array(1))[0] % below;

function begun() {
  try {
    const kept = JSON.parse(localStorage.getItem(`${rooms}/${told.page}`));
    if (kept && kept.order.length === told.questions.length) return kept;
  } catch {} // a browser that keeps nothing
  const order = told.questions.map((_, index) => index);
  for (let last = order.length - 1; last > 0; last--) {
    const other = chance(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  const session = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { judge: "", session, order, mirrored: Boolean(chance(2)), votes: [] };
}

const state = begun();
let since = 0;

function keep() {
  try { localStorage.setItem(`${rooms}/${told.page}`, JSON.stringify(state)); } catch {}
}

function question() {
  const asked = told.questions[state.order[state.votes.length]];
  return asked && (state.mirrored ? { ...asked, left: asked.right, right: asked.left } : asked);
}

function show() {
  const asked = question();
  $("start").hidden = Boolean(state.judge);
  $("asking").hidden = !state.judge || !asked;
  $("end").hidden = !state.judge || Boolean(asked);
  $("keeping").hidden = !state.judge || !state.votes.length;
  $("progress").value = state.votes.length;
  $("count").textContent = `${state.votes.length} of ${told.questions.length}`;
  $("another").hidden = Boolean(asked);
  $("back").disabled = !state.votes.length;
  $("thanks").textContent = `All ${told.questions.length} are answered; thank you, ${state.judge}. Save your answers, and send the file back.`;
  if (!asked) return;
  $("given").hidden = !asked.input;
  if (asked.input) $("given").querySelector("img").src = told.pictures[asked.input];
  for (const side of ["left", "right"]) document.querySelector(`[data-choice=${side}] img`).src = told.pictures[asked[side]];
  since = performance.now();
}

function answer(choice) {
  const asked = question();
  if (!state.judge || !asked) return;
  const seconds = Math.round((performance.now() - since) / 100) / 10;
  state.votes.push({ question: asked.id, left: asked.left, right: asked.right, choice, seconds });
  $("saved").textContent = "";
  keep();
  show();
}

function back() {
  state.votes.pop();
  keep();
  show();
}

function file() {
  const { judge, session, votes } = state;
  return JSON.stringify({ schema: 1, page: told.page, judge, session, saved: new Date().toISOString(), votes }, null, 1) + "\n";
}

$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  state.judge = $("judge").value.trim();
  keep();
  show();
  document.activeElement?.blur();
});
for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => answer(button.dataset.choice));
$("back").addEventListener("click", back);
$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file()], { type: "application/json" }));
  link.download = `votes-${state.judge.replace(/[^\p{L}\p{N}]+/gu, "-")}-${state.session.slice(0, 4)}.json`;
  link.click();
  $("saved").textContent = `saved as ${link.download}`;
});
$("another").addEventListener("click", () => {
  localStorage.removeItem(`${rooms}/${told.page}`);
  location.reload();
});
const keys = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" };
document.addEventListener("keydown", (event) => {
  if (!state.judge || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key in keys) answer(keys[event.key]);
  else if (event.key === "ArrowUp") back();
  else return;
  event.preventDefault();
});
show();
document.documentElement.dataset.ready = "yes";
