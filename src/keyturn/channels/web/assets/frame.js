// What every page shares: words for the reader, keys, clocks, signing out, writing to the server.

/** @param {string} id @returns {HTMLElement} */
export const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const WORKER = "/sw.js";
const policy = globalThis.trustedTypes?.createPolicy("keyturn", { createHTML: (html) => html, createScriptURL: () => WORKER });

/** The service worker's address, as `register` wants it: the only script address that is ever made from text. */
export const worker = () => /** @type {string} */ (/** @type {unknown} */ (policy ? policy.createScriptURL(WORKER) : WORKER));

/** Nodes of a fragment that this server rendered and escaped. The only place where text becomes markup. */
export async function fragment(/** @type {string} */ address) {
  const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  const holder = document.createElement("template");
  const html = await answer.text();
  holder.innerHTML = policy ? policy.createHTML(html) : html;
  return holder.content;
}

const KEY = "keyturn.session";

/** Keep the session's key where only pages of this very origin, port included, can read it; null forgets it. */
export function keep(/** @type {string|null} */ key) {
  if (key) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
}

/** A write. Gives `{ok, body}`; throws when no answer came. */
export async function post(/** @type {string} */ address, /** @type {object} */ body) {
  const token = localStorage.getItem(KEY) ?? "";
  const answer = await fetch(address, {
    method: "POST",
    redirect: "error",
    headers: { "content-type": "application/json", accept: "application/json", "X-Keyturn-CSRF": token },
    body: JSON.stringify(body),
  });
  return { ok: answer.ok, status: answer.status, body: await answer.json() };
}

/** Tell people who listen rather than look. */
export function say(/** @type {string} */ words) {
  $("say").textContent = words;
}

/** Fill and colour a line of words. */
export function tell(/** @type {HTMLElement} */ place, /** @type {string} */ words, tone = "") {
  place.textContent = words;
  place.dataset.tone = tone;
}

// --- clocks: the server's time, so a wrong clock here does not show a wrong deadline

const skew = Number(document.body.dataset.now) - Date.now();

function left(/** @type {number} */ until) {
  const seconds = Math.max(0, Math.floor((until - Date.now() - skew) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (!seconds) return "time is up";
  if (minutes < 1) return `${seconds} s left`;
  if (hours < 1) return `${minutes} min left`;
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min left` : `${hours} h left`;
  return `${Math.floor(hours / 24)} days left`;
}

export function tick() {
  for (const clock of document.querySelectorAll("time[data-expires]")) {
    const until = Number(clock.getAttribute("data-expires"));
    const words = left(until);
    if (clock.textContent !== words) clock.textContent = words;
    clock.classList.toggle("soon", until - Date.now() - skew < 300_000);
  }
}
tick();
setInterval(tick, 1000);

// --- keys

/** @type {Record<string, () => void>} */
const bound = { "?": help };
const MOVES = new Set(["j", "k", "ArrowDown", "ArrowUp"]);
const PLACES = { q: "/", r: "/requests?state=all", l: "/ledger" };
let going = 0;

/** Bind keys on this page. */
export function keys(/** @type {Record<string, () => void>} */ map) {
  Object.assign(bound, map);
}

const singles = () => localStorage.getItem("keyturn.keys") !== "off";

function help() {
  const dialog = /** @type {HTMLDialogElement|null} */ ($("keys"));
  dialog?.showModal();
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.repeat && (event.key === "Enter" || event.key === " ") && target.closest("button, a, input")) {
    event.preventDefault(); // a key that is held down never decides
    return;
  }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.key.length === 1 && !singles()) return;
  if (event.repeat && !MOVES.has(event.key)) return;
  if (event.key === "Enter" && target.closest("button, a, summary")) return;
  if (Date.now() - going < 1500 && event.key in PLACES) {
    event.preventDefault();
    location.assign(PLACES[/** @type {"q"|"r"|"l"} */ (event.key)]);
    return;
  }
  going = event.key === "g" ? Date.now() : 0;
  const act = bound[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

if (document.body.dataset.person) {
  const single = /** @type {HTMLInputElement} */ ($("single-keys"));
  single.checked = singles();
  single.addEventListener("change", () => localStorage.setItem("keyturn.keys", single.checked ? "on" : "off"));
  $("keys-open").addEventListener("click", help);
  $("keys-close").addEventListener("click", () => /** @type {HTMLDialogElement} */ ($("keys")).close());
  $("sign-out").addEventListener("click", async () => {
    const { ok, body } = await post("/logout", {}).catch(() => ({ ok: false, body: null }));
    if (ok) {
      keep(null);
      location.replace(body.next);
    } else say("Not signed out. Try again.");
  });
}
