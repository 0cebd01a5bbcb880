// One session: its terminal replayed or followed in a sandboxed frame, and the kill switch.

import { $, post, tell } from "./frame.js";
import { live } from "./live.js";

const page = $("session");
const address = `/sessions/${encodeURIComponent(page.dataset.id ?? "")}`;
const frame = /** @type {HTMLIFrameElement|null} */ (document.getElementById("player"));
const MOST = 64 * 1024 * 1024; // of a recording that a page takes; the file has the rest
const EVERY = 1000;
const decoder = new TextDecoder();
let open = page.dataset.open === "yes";
let taken = 0;
let rest = "";
let time = 0;
let first = true;

const tellPlayer = (/** @type {object} */ words) => frame?.contentWindow?.postMessage(words, "*"); // its origin is opaque

/** Decisions become places to jump to. */
function marks(/** @type {string} */ text) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    if (first) {
      first = false; // the header
      continue;
    }
    const [passed, code, label] = JSON.parse(line);
    time += passed;
    if (code !== "m") continue;
    const at = time;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, "0")} ${label}`;
    button.addEventListener("click", () => tellPlayer({ seek: at }));
    item.append(button);
    $("marks").append(item);
  }
}

async function more() {
  let text = "";
  while (taken < MOST) {
    const answer = await fetch(`${address}/recording?from=${taken}`, { redirect: "error" });
    if (!answer.ok) return;
    const data = await answer.arrayBuffer();
    if (!data.byteLength) break;
    taken += data.byteLength;
    text += decoder.decode(data, { stream: true });
  }
  if (!text) return;
  marks(text);
  tellPlayer({ text, live: open });
}

async function follow() {
  await more().catch(() => {});
  if (open) setTimeout(follow, EVERY);
}

addEventListener("message", ({ source, data }) => {
  if (!frame || source !== frame.contentWindow || typeof data !== "object" || data === null) return;
  if (data.ready === true) follow();
  else if (typeof data.height === "number") frame.height = String(Math.max(120, Math.min(2000, Math.ceil(data.height))));
});
if (frame) frame.src = "/player/stage.html"; // not before somebody listens

live((change) => {
  if (change.session !== page.dataset.id) return;
  if (change.type === "session.closed") open = false;
  if (change.type === "session.closed" || change.type === "session.stopped") tell($("news"), "This session has ended. Reload for its last entries.");
});

const form = /** @type {HTMLFormElement|null} */ (document.getElementById("stop"));
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ ($("stop-now"));
  const reason = /** @type {HTMLInputElement} */ ($("stop-why")).value.trim();
  if (!reason) return tell($("stop-words"), "Say why it is stopped.", "bad");
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
