// The queue: rows come and change by themselves; the selected row never moves because of that.

import { $, fragment, keys, say, tick } from "./frame.js";
import { live } from "./live.js";

const MOST = 60; // rows drawn; more on asking
const list = $("queue");
const more = /** @type {HTMLAnchorElement} */ ($("more"));
const arrived = $("arrived");
const clear = $("clear");
/** @type {HTMLElement|null} */
let selected = null;
/** Rows that belong above the selected one, kept back until asked for. @type {Map<string, HTMLElement>} */
const back = new Map();

const rows = () => /** @type {HTMLElement[]} */ ([...list.children]);
const waits = (/** @type {HTMLElement} */ row) => row.dataset.state === "waiting";
const only = list.dataset.tier;
/** The queue's order: tier, deadline, id. */
const before = (/** @type {HTMLElement} */ a, /** @type {HTMLElement} */ b) => {
  const by = Number(a.dataset.rank) - Number(b.dataset.rank) || Number(a.dataset.expires) - Number(b.dataset.expires);
  return by < 0 || (by === 0 && String(a.dataset.id) < String(b.dataset.id));
};
const shown = () => (mine.checked ? rows().filter((row) => row.dataset.may) : rows());

function select(/** @type {HTMLElement|null|undefined} */ row) {
  if (!row) return;
  selected?.setAttribute("aria-selected", "false");
  selected = row;
  row.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", row.id);
  sessionStorage.setItem("keyturn.row", row.id);
  if (document.activeElement !== list) list.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

async function move(/** @type {number} */ step) {
  const all = shown();
  const at = selected ? all.indexOf(selected) : -1;
  if (at + step >= all.length && !more.parentElement?.hidden) await showMore();
  const now = shown();
  select(now[Math.max(0, Math.min(at + step, now.length - 1))]);
}

const open = (aim = "") => selected && location.assign(selected.getAttribute("href") + aim);

keys({
  j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  0: () => location.assign("/"),
  ...Object.fromEntries([...document.querySelectorAll("#tiers a[data-tier]")].map((a, n) => [n + 1, () => /** @type {HTMLElement} */ (a).click()])),
  t: () => selected?.dataset.alike && location.assign(selected.dataset.alike),
  Enter: () => open(), o: () => open(), a: () => open("#approve"), d: () => open("#deny"),
}); // prettier-ignore

function dress(/** @type {HTMLElement} */ row) {
  row.tabIndex = -1; // the list is one stop of the Tab key; arrows and j/k move inside it
  return row;
}
rows().forEach(dress);

function counts(/** @type {string|undefined} */ waiting, /** @type {DOMStringMap} */ each = {}) {
  for (const [name, count] of Object.entries(each)) {
    const place = name.startsWith("n") && document.getElementById(`n-${name.slice(1).toLowerCase()}`);
    if (place) place.textContent = count ?? "";
  }
  if (waiting !== undefined) {
    $("count").textContent = waiting;
    $("waiting-words").textContent = `${waiting} waiting`;
    document.title = `${waiting === "0" ? "" : `(${waiting}) `}Queue · Keyturn`;
  }
  const ended = rows().filter((row) => !waits(row)).length;
  clear.hidden = !ended;
  clear.textContent = `Clear ${ended} decided`;
  arrived.hidden = !back.size;
  arrived.textContent = `${back.size} more urgent: show`;
  list.hidden = !list.children.length;
  $("empty").hidden = !list.hidden;
}
counts($("count").textContent ?? undefined);

/** Put a waiting row in its place by deadline. */
function insert(/** @type {HTMLElement} */ row, /** @type {boolean} */ fresh) {
  const next = rows().find((other) => waits(other) && before(row, other));
  if (!next && fresh && !more.parentElement?.hidden && rows().length >= MOST) return; // it comes with "Show more"
  if (fresh) row.classList.add("arrived");
  list.insertBefore(dress(row), next ?? null);
}

function place(/** @type {HTMLElement} */ row) {
  const old = document.getElementById(row.id);
  if (old) {
    old.replaceWith(dress(row));
    if (old === selected) select(row);
    return;
  }
  back.delete(row.id);
  if (!waits(row) || (only && row.dataset.tier !== only)) return;
  if (selected && before(row, selected)) back.set(row.id, row);
  else insert(row, true);
  say(`New request: ${row.querySelector(".effect")?.textContent}`);
}

arrived.addEventListener("click", () => {
  for (const row of back.values()) insert(row, true);
  back.clear();
  counts(undefined);
});
clear.addEventListener("click", () => {
  for (const row of rows()) if (!waits(row)) row === selected ? ((selected = null), row.remove()) : row.remove();
  counts(undefined);
});

async function showMore() {
  const part = await fragment(`/fragments/rows?${only ? `tier=${only}&` : ""}before=${encodeURIComponent(more.dataset.before ?? "")}`);
  const box = /** @type {HTMLElement} */ (part.firstElementChild);
  for (const row of [...box.children]) if (!document.getElementById(row.id)) insert(/** @type {HTMLElement} */ (row), false);
  more.dataset.before = box.dataset.more;
  if (more.parentElement) more.parentElement.hidden = !box.dataset.more;
  counts(box.dataset.waiting, box.dataset);
}
more.addEventListener("click", (event) => {
  event.preventDefault();
  showMore().catch(() => say("No answer. Try again."));
});

/** @type {Set<string>} */
const wanted = new Set();
let fetching = false;

async function refresh() {
  if (fetching) return;
  fetching = true;
  while (wanted.size) {
    const ids = [...wanted].slice(0, MOST);
    for (const id of ids) wanted.delete(id);
    try {
      const part = await fragment(`/fragments/row/${ids.map(encodeURIComponent).join(",")}`);
      const box = /** @type {HTMLElement} */ (part.firstElementChild);
      for (const row of [...box.children]) place(/** @type {HTMLElement} */ (row));
      counts(box.dataset.waiting, box.dataset);
      tick();
    } catch {
      for (const id of ids) wanted.add(id);
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
  fetching = false;
}

live((change) => {
  if (!change.request) return;
  wanted.add(change.request);
  refresh();
});

const mine = /** @type {HTMLInputElement} */ ($("mine"));
mine.checked = localStorage.getItem("keyturn.mine") === "1";
const apply = () => list.classList.toggle("mine", mine.checked);
mine.addEventListener("change", () => {
  localStorage.setItem("keyturn.mine", mine.checked ? "1" : "");
  apply();
});
apply();

const kept = document.getElementById(sessionStorage.getItem("keyturn.row") ?? "");
if (kept?.parentElement === list) select(kept);
