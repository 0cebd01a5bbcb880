// Forms that post JSON: nothing changes before the ledger has an entry; then the page is loaded anew.

import { post, tell } from "./frame.js";
import "./quiet.js";

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-post]"))) {
  const words = /** @type {HTMLElement} */ (form.querySelector("[role=status]"));
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (form.querySelectorAll("button"));
  const usable = (/** @type {boolean} */ yes) => buttons.forEach((button) => (button.disabled = !yes));
  usable(true);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(form, event.submitter));
    usable(false);
    try {
      const { ok, body } = await post(form.dataset.post ?? "", data);
      tell(words, ok ? body.words : `${body.error.happened} ${body.error.not_done} ${body.error.next}`, ok ? "good" : "bad");
      if (ok) return location.reload();
    } catch {
      tell(words, "No answer: it may not have been recorded. Load the page again to see.", "bad");
    }
    usable(true);
  });
}
