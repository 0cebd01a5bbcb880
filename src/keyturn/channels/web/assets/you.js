// The page You: adding a passkey, revoking a key.

import { away } from "./away.js";
import { $, post, tell } from "./frame.js";
import { make, Refused } from "./passkey.js";

const words = $("key-words");
const add = /** @type {HTMLButtonElement|null} */ (document.getElementById("add-passkey"));
const name = /** @type {HTMLInputElement|null} */ (document.getElementById("key-name"));

const said = (/** @type {any} */ error) => `${error?.happened ?? "No."} ${error?.not_done ?? ""} ${error?.next ?? ""}`.trim();

const PENDING = "keyturn.key";

/** A passkey that was made, on its way; if the provider has to vouch for it first, there and back. */
async function offered(/** @type {object} */ offer) {
  sessionStorage.removeItem(PENDING);
  const { ok, body } = await post("/you/keys", offer);
  const commitment = body.error?.details?.commitment;
  if (!ok && commitment) {
    sessionStorage.setItem(PENDING, JSON.stringify(offer));
    const trouble = await away("/login/provider/prove", { commitment, next: "/you" });
    if (trouble) tell(words, trouble, "bad");
    return;
  }
  if (!ok) return tell(words, said(body.error), "bad");
  tell(words, body.words, "good");
  const link = document.createElement("a");
  link.href = `/requests/${encodeURIComponent(body.request)}`;
  link.textContent = "See the request.";
  words.append(" ", link);
  link.focus();
}

async function added() {
  if (!add || !name) return;
  add.disabled = true;
  tell(words, "Confirm with your authenticator…");
  try {
    const options = await post("/you/keys/options", {});
    if (!options.ok) return tell(words, said(options.body.error), "bad");
    await offered({ ...(await make(options.body)), name: name.value.trim() });
  } catch (error) {
    tell(words, error instanceof Refused ? `${error.message} Nothing was enrolled.` : "No answer. Look at the requests before you try again.", "bad");
  } finally {
    add.disabled = false;
  }
}

async function revoked(/** @type {HTMLButtonElement} */ button) {
  if (button.dataset.sure !== "yes") {
    button.dataset.sure = "yes";
    button.textContent = `Press again: ${button.dataset.name} will sign nothing any more`;
    return;
  }
  button.disabled = true;
  try {
    const { ok, body } = await post(`/you/keys/${encodeURIComponent(button.dataset.revoke ?? "")}/revoke`, { why: "" });
    if (ok) return location.reload();
    tell(words, said(body.error), "bad");
  } catch {
    tell(words, "No answer. It is not known whether the key was revoked: load the page again.", "bad");
  }
  button.disabled = false;
}

const pending = sessionStorage.getItem(PENDING);
sessionStorage.removeItem(PENDING);
if (pending) offered(JSON.parse(pending)).catch(() => tell(words, "No answer. Look at the requests before you try again.", "bad"));

const vouch = /** @type {HTMLButtonElement|null} */ (document.getElementById("vouch"));
vouch?.addEventListener("click", async () => {
  const trouble = await away("/login/provider/prove", { commitment: vouch.dataset.commitment, next: "/you?vouched=yes" });
  if (trouble) tell(words, trouble, "bad");
});
if (vouch) vouch.disabled = false;

add?.addEventListener("click", added);
if (add) add.disabled = false;
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-revoke]")))
  button.addEventListener("click", () => revoked(button));
