// Standing in, on the page You: handing over, taking back.

import { $, post, tell } from "./frame.js";

const words = $("stand-words");
const go = /** @type {HTMLButtonElement|null} */ (document.getElementById("stand-go"));
const field = (/** @type {string} */ id) => /** @type {HTMLInputElement|HTMLSelectElement} */ (document.getElementById(id));

async function sent(/** @type {HTMLButtonElement} */ button, /** @type {string} */ address, /** @type {object} */ body) {
  button.disabled = true;
  try {
    const answer = await post(address, body);
    if (answer.ok) return location.reload();
    const error = answer.body.error;
    tell(words, `${error?.happened ?? "No."} ${error?.not_done ?? ""} ${error?.next ?? ""}`.trim(), "bad");
  } catch {
    tell(words, "No answer. It is not known whether it was recorded: load the page again.", "bad");
  }
  button.disabled = false;
}

go?.addEventListener("click", () => {
  const until = new Date(field("stand-until").value).getTime();
  if (!field("stand-to").value) return tell(words, "Choose a colleague. Nothing was handed over.", "bad");
  if (!until) return tell(words, "Say until when. Nothing was handed over.", "bad");
  const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=stand-group]"));
  const groups = [...boxes].filter((box) => box.checked).map((box) => box.value);
  if (!groups.length) return tell(words, "Choose a group. Nothing was handed over.", "bad");
  sent(go, "/you/delegations", { to: field("stand-to").value, until, groups, why: field("stand-why").value });
});
if (go) go.disabled = false;
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-end]")))
  button.addEventListener("click", () => sent(button, `/you/delegations/${encodeURIComponent(button.dataset.end ?? "")}/end`, {}));
