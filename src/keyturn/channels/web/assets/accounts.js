// Linking an account at the provider: there, to show that it is ours, and back. Another administrator has to agree.

import { away } from "./away.js";
import { $, tell } from "./frame.js";

const button = /** @type {HTMLButtonElement|null} */ (document.getElementById("link-account"));
button?.addEventListener("click", async () => {
  button.disabled = true;
  let trouble = "No answer. Nothing was linked. Try again.";
  try {
    trouble = await away("/login/provider/link", { next: "/you" });
  } catch {
    // said below
  }
  if (!trouble) return;
  tell($("link-words"), trouble, "bad");
  button.disabled = false;
});
if (button) button.disabled = false;
