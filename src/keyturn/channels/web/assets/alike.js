// Several requests that differ in words only: every row must have been on screen; the server decides each on its own.

import { $, keys, post, say, tell } from "./frame.js";
import { live } from "./live.js";

const table = document.getElementById("alike");
const words = $("bar-words");
const approve = /** @type {HTMLButtonElement} */ ($("approve"));
const deny = /** @type {HTMLButtonElement} */ ($("deny"));
const reason = /** @type {HTMLInputElement} */ ($("reason"));
const rows = /** @type {HTMLTableRowElement[]} */ ([...(table?.querySelectorAll("tbody tr") ?? [])]);
const marks = new Set(document.querySelectorAll("#alike .seen"));
const all = marks.size;
const began = performance.now();
let busy = false;

const taken = () => rows.filter((row) => /** @type {HTMLInputElement} */ (row.querySelector("input"))?.checked);

function ready() {
  if (busy) return;
  const count = taken().length;
  deny.disabled = count < 2;
  approve.disabled = count < 2 || marks.size > 0;
  approve.firstChild && (approve.firstChild.textContent = `Approve ${count} once each `);
  deny.firstChild && (deny.firstChild.textContent = `Deny ${count} `);
  if (words.dataset.tone) return;
  if (count < 2) tell(words, "Take two or more, or open one by itself.");
  else if (marks.size) tell(words, `Read all of them to approve: ${all - marks.size} of ${all} were on screen.`);
  else tell(words, "Approving lets each of exactly these run once.");
}

const watch = new IntersectionObserver(
  (seen) => {
    for (const mark of seen) {
      if (!mark.isIntersecting) continue;
      marks.delete(mark.target);
      watch.unobserve(mark.target);
    }
    ready();
  },
  { rootMargin: `0px 0px -${$("bar")?.offsetHeight ?? 0}px 0px` },
);

async function decide(/** @type {"approve"|"deny"} */ choice) {
  if (busy || (choice === "approve" ? approve : deny).disabled) return;
  if (table?.dataset.reason && !reason.value.trim()) {
    tell(words, "This asks for a reason: nothing was sent yet.", "bad");
    reason.focus();
    return;
  }
  busy = true;
  approve.disabled = deny.disabled = true;
  tell(words, "Recording…");
  const items = taken().map(({ dataset: { id, digest, display } }) => ({ id, digest, display }));
  try {
    const { ok, body } = await post("/alike/decision", {
      choice, items, reason: reason.value, dwell_ms: Math.round(performance.now() - began),
    }); // prettier-ignore
    if (!ok) throw new Error(`${body.error?.happened ?? ""} ${body.error?.not_done ?? "Nothing ran."}`);
    for (const result of body) {
      const row = rows.find((one) => one.dataset.id === result.id);
      if (!row) continue;
      const box = /** @type {HTMLInputElement} */ (row.querySelector("input"));
      box.checked = false;
      box.disabled = true;
      const said = result.entry === null ? `Not recorded: ${result.words}` : `${result.state}, entry ${result.entry}`;
      /** @type {HTMLElement} */ (row.querySelector(".outcome-words")).textContent = said;
    }
    const done = body.filter((/** @type {{entry: number|null}} */ one) => one.entry !== null).length;
    tell(words, `${done} of ${body.length} recorded, each as an entry of its own.`, done === body.length ? "good" : "bad");
    words.tabIndex = -1;
    words.focus();
  } catch (error) {
    tell(words, `${error instanceof Error ? error.message : ""} Look at the queue: what has no entry was not decided.`, "bad");
  }
  busy = false;
  ready();
}

if (table) {
  for (const mark of marks) watch.observe(mark);
  table.addEventListener("change", () => {
    words.dataset.tone = "";
    ready();
  });
  approve.addEventListener("click", () => decide("approve"));
  deny.addEventListener("click", () => decide("deny"));
  keys({
    a: () => (approve.disabled ? say(words.textContent ?? "") : (approve.focus(), tell(words, "Press Enter to approve each once."))),
    d: () => (deny.disabled ? say(words.textContent ?? "") : (deny.focus(), tell(words, "Press Enter to deny them."))),
    Escape: () => location.assign("/"),
  });
  ready();
}
live(() => {});
