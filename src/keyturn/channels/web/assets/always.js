// Ask somebody else for the rule that is shown.

import { $, post, tell } from "./frame.js";
import { live } from "./live.js";

const form = document.getElementById("always");
const button = /** @type {HTMLButtonElement} */ ($("propose"));

button?.addEventListener("click", async () => {
  const words = $("bar-words");
  const { address, digest, days } = /** @type {HTMLElement} */ (form).dataset;
  const note = /** @type {HTMLInputElement} */ ($("note")).value;
  button.disabled = true;
  tell(words, "Asking…");
  try {
    const { ok, body } = await post(address ?? "", { digest, days: Number(days), note });
    if (ok) return location.assign(body.next);
    tell(words, `${body.error?.happened ?? ""} ${body.error?.not_done ?? "Nothing was changed."} ${body.error?.next ?? ""}`.trim(), "bad");
  } catch {
    tell(words, "Keyturn does not answer; nothing is confirmed. Look at the queue before you try again.", "bad");
  }
  button.disabled = false;
});

live(() => {});
