// The page "How you are told": channels to do without, and push messages in this browser.

import { $, post, tell, worker } from "./frame.js";
import "./quiet.js";

const words = $("told-words");
const said = (/** @type {any} */ error) => `${error?.happened ?? "No."} ${error?.not_done ?? ""} ${error?.next ?? ""}`.trim();
const UNANSWERED = "No answer. It is not known whether that was recorded: load the page again.";

/** Post, say how it went, and load the page again when it was recorded. */
async function write(/** @type {string} */ address, /** @type {object} */ body) {
  try {
    const { ok, body: answer } = await post(address, body);
    if (ok) return location.reload();
    tell(words, said(answer.error), "bad");
  } catch {
    tell(words, UNANSWERED, "bad");
  }
}

const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-channel]"));
const save = /** @type {HTMLButtonElement|null} */ (document.getElementById("save-channels"));
save?.addEventListener("click", () => write("/you/told", { without: [...boxes].filter((box) => !box.checked).map((box) => box.dataset.channel) }));
if (save) save.disabled = false;

const add = /** @type {HTMLButtonElement|null} */ (document.getElementById("add-browser"));

function key(/** @type {string} */ text) {
  const padded = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(padded), (char) => char.charCodeAt(0));
}

async function subscribed() {
  if (!add) return;
  add.disabled = true;
  tell(words, "Your browser asks whether you want that…");
  try {
    if ((await Notification.requestPermission()) !== "granted") {
      return tell(words, "Your browser was told not to show messages of this page. Nothing was changed; its site settings can be.", "bad");
    }
    const registration = await navigator.serviceWorker.register(worker(), { scope: "/" });
    await navigator.serviceWorker.ready;
    const old = await registration.pushManager.getSubscription();
    const made = old ?? (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key(add.dataset.key ?? "") }));
    const { endpoint, keys } = made.toJSON();
    await write("/you/browsers", { endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth }, device: navigator.userAgent.slice(0, 120) });
  } catch (error) {
    tell(words, `Your browser could not reach its push service (${error instanceof Error ? error.name : "failure"}). Nothing was changed.`, "bad");
  } finally {
    add.disabled = false;
  }
}

if (add && "serviceWorker" in navigator && "PushManager" in globalThis) {
  add.disabled = false;
  add.addEventListener("click", subscribed);
} else if (add) {
  tell(words, "This browser takes no push messages from here. On an iPhone or iPad, add Keyturn to the home screen first, and open it from there.");
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-end]"))) {
  button.disabled = false;
  button.addEventListener("click", () => write(`/you/browsers/${encodeURIComponent(button.dataset.end ?? "")}/end`, {}));
}
