// Credentials: revoking one takes two presses, and then it is gone.

import { $, post, tell } from "./frame.js";
import "./quiet.js";

const words = $("gone-words");

async function revoke(/** @type {HTMLButtonElement} */ button) {
  button.disabled = true;
  try {
    const answer = await post(`/credentials/${encodeURIComponent(button.dataset.revoke ?? "")}/revoke`, {});
    if (answer.ok) return location.reload();
    const error = answer.body.error;
    tell(words, `${error?.happened ?? "No."} ${error?.not_done ?? ""} ${error?.next ?? ""}`.trim(), "bad");
  } catch {
    tell(words, "No answer. It is not known whether it was revoked: load the page again.", "bad");
  }
  button.disabled = false;
}

for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-revoke]"))) {
  const label = button.textContent ?? "";
  button.disabled = false;
  button.addEventListener("blur", () => {
    button.textContent = label;
    delete button.dataset.sure;
  });
  button.addEventListener("click", () => {
    if (button.dataset.sure) return revoke(button);
    button.dataset.sure = "yes";
    button.textContent = `${label}: press again to confirm`;
  });
}
