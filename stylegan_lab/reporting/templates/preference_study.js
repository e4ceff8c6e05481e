"use strict";
// A preference study: questions in random order. Answers are kept in the browser until they are saved to a file.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("page-data").textContent); // {page, questions: [{id, input, left, right}], images}
const storageKey = `preference-study/${data.page}`;
const randomBelow = (limit) => crypto.getRandomValues(new Uint32Array(1))[0] % limit;

function loadState() {
  try {
    const stored = JSON.parse(localStorage.getItem(storageKey));
    if (stored && stored.order.length === data.questions.length) return stored;
  } catch {} // the browser stores nothing
  const order = data.questions.map((_, index) => index);
  for (let last = order.length - 1; last > 0; last--) {
    const other = randomBelow(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  const session = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { voter: "", session, order, mirrored: Boolean(randomBelow(2)), votes: [] };
}

const state = loadState();
let shownAt = 0;

function store() {
  try { localStorage.setItem(storageKey, JSON.stringify(state)); } catch {}
}

function currentQuestion() {
  const question = data.questions[state.order[state.votes.length]];
  return question && (state.mirrored ? { ...question, left: question.right, right: question.left } : question);
}

function update() {
  const question = currentQuestion();
  $("start").hidden = Boolean(state.voter);
  $("question").hidden = !state.voter || !question;
  $("end").hidden = !state.voter || Boolean(question);
  $("saving").hidden = !state.voter || !state.votes.length;
  $("progress").value = state.votes.length;
  $("count").textContent = `${state.votes.length} of ${data.questions.length}`;
  $("another").hidden = Boolean(question);
  $("back").disabled = !state.votes.length;
  $("thanks").textContent = `All ${data.questions.length} questions are answered; thank you, ${state.voter}. Save your answers, and send the file back.`;
  if (!question) return;
  $("input").hidden = !question.input;
  if (question.input) $("input").querySelector("img").src = data.images[question.input];
  for (const side of ["left", "right"]) document.querySelector(`[data-choice=${side}] img`).src = data.images[question[side]];
  shownAt = performance.now();
}

function answer(choice) {
  const question = currentQuestion();
  if (!state.voter || !question) return;
  const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
  state.votes.push({ question: question.id, left: question.left, right: question.right, choice, seconds });
  $("saved").textContent = "";
  store();
  update();
}

function back() {
  state.votes.pop();
  store();
  update();
}

function votesFile() {
  const { voter, session, votes } = state;
  return JSON.stringify({ schema: 1, page: data.page, voter, session, saved: new Date().toISOString(), votes }, null, 1) + "\n";
}

$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  state.voter = $("voter").value.trim();
  store();
  update();
  document.activeElement?.blur();
});
for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => answer(button.dataset.choice));
$("back").addEventListener("click", back);
$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([votesFile()], { type: "application/json" }));
  link.download = `votes-${state.voter.replace(/[^\p{L}\p{N}]+/gu, "-")}-${state.session.slice(0, 4)}.json`;
  link.click();
  $("saved").textContent = `saved as ${link.download}`;
});
$("another").addEventListener("click", () => {
  localStorage.removeItem(storageKey);
  location.reload();
});
const keys = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" };
document.addEventListener("keydown", (event) => {
  if (!state.voter || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key in keys) answer(keys[event.key]);
  else if (event.key === "ArrowUp") back();
  else return;
  event.preventDefault();
});
update();
document.documentElement.dataset.ready = "yes";
