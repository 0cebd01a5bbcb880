// One session: its terminal replayed or followed in a sandboxed frame, and the kill switch.

import { $, post, tell } from "./frame.js";
import { live } from "./live.js";

const page = $("session");
const address = `/sessions/${encodeURIComponent(page.dataset.id ?? "")}`;
const frame = /** @type {HTMLIFrameElement|null} */ (document.getElementById("player"));
const MOST = 64 * 1024 * 1024; // of a recording that a page takes; the file has the rest
const MARKS = 1000; // shown; a loop may ask for more
const EVERY = 1000;
const REQUEST = /\br_[0-9a-hjkmnp-tv-z]{26}\b/;
const decoder = new TextDecoder();
let open = page.dataset.open === "yes";
let taken = 0;
let rest = "";
let time = 0;
let first = true;
let damaged = false;

const BACK = "Looking back. The session goes on.";
function note(/** @type {string} */ words, tone = "") {
  const place = $("player-words");
  if (place.textContent !== words) tell(place, words, tone);
}

const tellPlayer = (/** @type {object} */ words) => frame?.contentWindow?.postMessage(words, "*"); // its origin is opaque

function mark(/** @type {number} */ at, /** @type {string} */ label) {
  const places = $("marks");
  if (places.children.length >= MARKS) return;
  const request = REQUEST.exec(label);
  const short = label.replace(/^keyturn: /, "").replace(` (request ${request?.[0]})`, "");
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain small";
  button.textContent = `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, "0")}  ${short.slice(0, 300)}`;
  button.addEventListener("click", () => {
    tellPlayer({ seek: at + 0.001 }); // sums of fractions differ in their last bits
    $("follow").hidden = !open;
    if (open) note(BACK);
  });
  item.append(button);
  if (request) {
    const link = document.createElement("a");
    link.href = `/requests/${request[0]}`;
    link.textContent = "Request";
    item.append(link);
  }
  places.append(item);
  $("marks-title").hidden = false;
}

/** Whole lines of *text*. Decisions become places to jump to; what is no recording is not handed on. */
function sound(/** @type {string} */ text) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  let good = "";
  for (const line of lines) {
    try {
      const value = JSON.parse(line);
      if (first) {
        if (value.version !== 3 || !(value.term.cols > 0 && value.term.cols < 1000 && value.term.rows > 0 && value.term.rows < 1000)) throw 0;
        first = false;
      } else {
        const [passed, code, data] = value;
        if (!(passed >= 0 && passed < 1e9) || typeof code !== "string" || typeof data !== "string") throw 0;
        time += passed;
        if (code === "m") mark(time, data);
      }
    } catch {
      damaged = true;
      return good;
    }
    good += `${line}\n`;
  }
  return good;
}

async function more() {
  let text = "";
  while (taken < MOST && !damaged) {
    const answer = await fetch(`${address}/recording?from=${taken}`, { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const data = await answer.arrayBuffer();
    if (!data.byteLength) break;
    taken += data.byteLength;
    text += sound(decoder.decode(data, { stream: true }));
  }
  tellPlayer({ text, live: open });
  const words = damaged
    ? "The recording is damaged: it is shown up to there."
    : taken >= MOST
      ? "The recording is longer than a page shows; the file has the rest."
      : first
        ? "Nothing was written yet."
        : open
          ? $("follow").hidden
            ? "Live."
            : BACK
          : rest
            ? "The recording breaks off in the middle of a line."
            : "";
  note(words, damaged ? "bad" : "");
}

async function follow() {
  await more().catch(() => note("The recording can't be fetched just now.", "bad"));
  if (open && !damaged) setTimeout(follow, EVERY);
}

addEventListener("message", ({ source, data }) => {
  if (!frame || source !== frame.contentWindow || typeof data !== "object" || data === null) return;
  if (data.ready === true && !taken) follow();
  else if (typeof data.height === "number") frame.height = String(Math.max(80, Math.min(2000, Math.ceil(data.height))));
});
if (frame) {
  frame.src = "/player/stage.html"; // not before somebody listens
  $("follow").addEventListener("click", () => {
    tellPlayer({ follow: true });
    $("follow").hidden = true;
    note("Live.");
  });
}

live((change) => {
  if (change.session !== page.dataset.id) return;
  if (change.type === "session.stopped") {
    $("state").textContent = "Stopped";
    tell($("news"), "This session was stopped. Its gate ends what still runs.");
    const stop = document.getElementById("stop");
    if (stop && !stop.contains(document.activeElement)) stop.hidden = true;
  } else if (change.type === "session.closed") {
    open = false; // the next look at the recording is the last one
    if ($("state").textContent !== "Stopped") $("state").textContent = "Closed";
    tell($("news"), "This session has ended. Reload the page for its last entries and the check of its recording.");
    if (frame) $("recording-words").textContent = "";
    const stop = document.getElementById("stop");
    if (stop && !stop.contains(document.activeElement)) stop.hidden = true;
    const follow = document.getElementById("follow");
    if (follow) follow.hidden = true;
  }
});

document.getElementById("stop-now")?.addEventListener("click", async () => {
  const button = /** @type {HTMLButtonElement} */ ($("stop-now"));
  const field = /** @type {HTMLInputElement} */ ($("stop-why"));
  const reason = field.value.trim();
  if (!reason) {
    tell($("stop-words"), "Say why it is stopped.", "bad");
    return field.focus();
  }
  button.disabled = true;
  try {
    const { ok, body } = await post(`${address}/stop`, { reason });
    tell($("stop-words"), ok ? body.words : `${body.error.happened} ${body.error.next}`, ok ? "good" : "bad");
    button.disabled = ok;
  } catch {
    button.disabled = false;
    tell($("stop-words"), "No answer: it may not have been stopped. Try again.", "bad");
  }
});
