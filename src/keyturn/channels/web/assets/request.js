// One request: approving waits until everything was on screen; nothing changes before the ledger has an entry.

import { away } from "./away.js";
import { $, fragment, keys, post, say, tell, tick } from "./frame.js";
import { live } from "./live.js";

const page = $("request");
const words = document.getElementById("bar-words");
const approve = /** @type {HTMLButtonElement|null} */ (document.getElementById("approve"));
const deny = /** @type {HTMLButtonElement|null} */ (document.getElementById("deny"));
const reason = /** @type {HTMLInputElement|null} */ (document.getElementById("reason"));
const ticket = /** @type {HTMLInputElement|null} */ (document.getElementById("ticket"));
const far = /** @type {HTMLSelectElement|null} */ (document.getElementById("far"));
const address = `/requests/${encodeURIComponent(page.dataset.id ?? "")}`;
const sign = /** @type {HTMLInputElement|null} */ (document.getElementById("sign"));
/** No signature came about: nothing was sent. */
class Unsigned extends Error {}
const typed = /** @type {HTMLInputElement|null} */ (document.getElementById("typed"));
const target = page.dataset.target ?? "";
const needsReason = page.dataset.reason === "required";
/** A critical action is approved only by typing what it hits. */
const untyped = () => typed !== null && typed.value.trim() !== target;

let busy = false;
/** @type {"approve"|"deny"|null} */
let armed = null;

const standing = () => $("standing");
/** Why the viewer can't do that; empty when they can. */
const barred = (/** @type {"approve"|"deny"} */ choice) =>
  standing().dataset.state === "waiting" ? (standing().dataset[choice] ?? "") : "This request has ended.";

// --- reading: each mark in the text must have been on screen

const marks = new Set(document.querySelectorAll("#exact .seen"));
const parts = marks.size;

function ready() {
  if (!approve || !deny || !reason || !words || busy) return;
  const no = barred("approve");
  deny.disabled = Boolean(barred("deny"));
  reason.disabled = deny.disabled && Boolean(no);
  if (typed) typed.disabled = Boolean(no);
  approve.disabled = Boolean(no) || marks.size > 0 || untyped();
  if (ticket) ticket.disabled = Boolean(no);
  if (no) tell(words, deny.disabled ? no : `${no} You can still deny it.`);
  else if (marks.size) tell(words, `Read it to the end to approve: ${parts - marks.size} of ${parts} parts were on screen. You can deny at any time.`);
  else if (untyped()) tell(words, `Type ${target} to approve it: the name of what it hits. You can deny at any time.`);
  else if (!words.dataset.tone && !armed) tell(words, page.dataset.ready ?? "");
}
typed?.addEventListener("input", ready);
typed?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.isComposing) return;
  event.preventDefault();
  arm("approve");
});

const box = $("exact");
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
for (const mark of marks) watch.observe(mark);
ready();

// --- how long the page was visible, and what was unfolded: recorded with the decision as this page's own word

let visible = 0;
let since = document.hidden ? 0 : performance.now();
const dwelt = () => visible + (since && performance.now() - since);
document.addEventListener("visibilitychange", () => {
  visible = dwelt();
  since = document.hidden ? 0 : performance.now();
});
/** @type {Set<string>} */
const opened = new Set();
for (const part of /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details[data-part]")))
  part.addEventListener("toggle", () => part.open && opened.add(part.dataset.part ?? ""));

// --- deciding

function arm(/** @type {"approve"|"deny"} */ choice) {
  if (!approve || !deny || !reason || !words || busy) return;
  const button = choice === "approve" ? approve : deny;
  if (button.disabled) {
    say(words.textContent ?? "");
    if (choice === "approve" && !barred("approve")) (marks.size ? box : typed)?.focus();
    return;
  }
  armed = choice;
  approve.classList.toggle("armed", choice === "approve");
  deny.classList.toggle("armed", choice === "deny");
  const asks = choice === "deny" || (needsReason && !reason.value);
  tell(words, asks ? `Type the reason, then Enter to ${choice === "deny" ? "deny" : "approve once"}. Esc leaves it.` : "Press Enter to approve once.");
  (asks ? reason : button).focus();
}

async function decide(/** @type {"approve"|"deny"} */ choice) {
  if (!approve || !deny || !reason || !words || busy || barred(choice) || (choice === "approve" && marks.size)) return;
  if (choice === "approve" && untyped()) return;
  if (choice === "approve" && needsReason && !reason.value.trim()) {
    arm(choice);
    tell(words, "This asks for a reason: nothing was sent yet.", "bad");
    reason.focus();
    return;
  }
  if (choice === "approve" && ticket && !ticket.value.trim()) {
    tell(words, "Name the approved change: nothing was sent yet.", "bad");
    ticket.focus();
    return;
  }
  busy = true;
  approve.disabled = deny.disabled = reason.disabled = true;
  const { digest, display } = page.dataset;
  const made = { typed: typed?.value ?? "", dwell_ms: Math.round(dwelt()), opened: [...opened] };
  try {
    const grant = choice === "approve" ? (far?.value ?? "") : "";
    const given = { choice, digest, display, reason: reason.value, grant };
    const named = { ticket: choice === "approve" ? (ticket?.value ?? "") : "" };
    const signing = choice === "approve" && sign?.checked;
    if (choice === "approve" && !signing && page.dataset.assurance === "idp") {
      // The provider's word has to stand behind it: there, sign in anew, and back here.
      const no = await away(`${address}/decision/provider`, { ...given, ...named, ...made });
      return no ? failed(no) : tell(words, "To the provider…");
    }
    const signed = signing ? await signature({ ...given, ...named }) : {};
    tell(words, "Recording…");
    const { ok, body } = await post(`${address}/decision`, { ...given, ...named, ...made, ...signed });
    if (ok && Number.isInteger(body.entry)) return recorded(body.words);
    const error = body.error ?? {};
    failed(`${error.happened ?? ""} Not recorded. ${error.not_done ?? "Nothing ran."} ${error.next ?? "Try again."}`.trim());
  } catch (error) {
    if (error instanceof Unsigned) failed(`${error.message} Not recorded. Nothing ran.`);
    else await unanswered();
  }
}

/** What a passkey makes of the statement that the server hands out. */
async function signature(/** @type {object} */ wanted) {
  tell(/** @type {HTMLElement} */ (words), "Confirm with your passkey…");
  const { ok, body } = await post(`${address}/statement`, wanted);
  if (!ok) throw new Unsigned(`${body.error?.happened ?? ""} ${body.error?.next ?? ""}`.trim());
  const passkey = await import("./passkey.js");
  return passkey.sign(body).catch((error) => {
    throw new Unsigned(error.message);
  });
}

function recorded(/** @type {string} */ said) {
  tell(/** @type {HTMLElement} */ (words), said, "good");
  history.replaceState(null, "", `${location.pathname}#outcome`);
  location.reload();
}

function failed(/** @type {string} */ said) {
  busy = false;
  armed = null;
  tell(/** @type {HTMLElement} */ (words), said, "bad");
  ready();
}

/** No answer came: the ledger says whether it was recorded, we don't guess. */
async function unanswered() {
  try {
    await refresh();
  } catch {
    failed("Keyturn does not answer, so nothing is confirmed. Without an entry nothing runs. Try again.");
    return;
  }
  const { own } = standing().dataset;
  if (own) recorded(`Recorded as entry ${own}.`);
  else failed("Not recorded. Nothing ran. Try again.");
}

far?.addEventListener("change", () => {
  const said = far.selectedOptions[0]?.textContent ?? "";
  if (words) tell(words, far.value ? `Approving lets exactly these bytes run ${said}. It can be revoked under Grants.` : (page.dataset.ready ?? ""));
});
approve?.addEventListener("click", () => decide("approve"));
deny?.addEventListener("click", () => decide("deny"));
for (const field of [reason, ticket]) field?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.isComposing) return;
  event.preventDefault();
  if (armed) decide(armed);
  else if (words) tell(words, "Choose Approve once or Deny.");
});

// --- what others do meanwhile

async function refresh() {
  const part = await fragment(`/fragments/standing/${encodeURIComponent(page.dataset.id ?? "")}`);
  const fresh = part.querySelector("#standing");
  if (fresh) standing().replaceWith(fresh);
  tick();
  ready();
}

live((change) => {
  if (change.request !== page.dataset.id) return;
  refresh()
    .then(() => say(`This request changed: ${standing().dataset.state}.`))
    .catch(() => {});
});

// --- keys and copying

const copy = /** @type {HTMLButtonElement} */ ($("copy-raw"));
copy.disabled = false;
copy.addEventListener("click", async () => {
  try {
    const answer = await fetch(copy.dataset.raw ?? "");
    if (!answer.ok) throw new Error();
    await navigator.clipboard.writeText(await answer.text());
    copy.textContent = "Copied";
    say("The raw text was copied, invisible characters included.");
  } catch {
    copy.textContent = "Not copied";
    say("Not copied: the browser did not allow it.");
  }
});

const follow = (/** @type {string} */ rel) => /** @type {HTMLAnchorElement|null} */ (document.querySelector(`a[rel=${rel}]`))?.click();

keys({
  a: () => arm("approve"),
  d: () => arm("deny"),
  j: () => follow("next"),
  k: () => follow("prev"),
  c: () => copy.click(),
  v: () => $("hex").click(),
  Escape: () => location.assign("/"),
});

const aim = location.hash.slice(1);
if (aim === "outcome") document.getElementById("outcome")?.focus();
if (aim === "approve" || aim === "deny") {
  history.replaceState(null, "", location.pathname);
  if (aim === "deny") arm("deny");
  else box.focus(); // arriving to approve starts with reading
}
