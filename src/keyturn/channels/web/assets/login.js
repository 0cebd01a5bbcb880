// Signing in: only pressing the button uses the link up. Opening it changes nothing.

import { away } from "./away.js";
import { $, keep, post, tell } from "./frame.js";

if ($("sign-in").dataset.resume) location.replace(location.href);

const button = /** @type {HTMLButtonElement|null} */ (document.getElementById("sign-in-go"));
const code = new URLSearchParams(location.search).get("code") ?? "";
if (code && location.pathname === "/login") history.replaceState(null, "", "/login"); // out of the history and of screenshots

button?.addEventListener("click", async () => {
  const words = $("sign-in-words");
  button.disabled = true;
  try {
    const { ok, body } = await post("/login", { code });
    if (ok) {
      keep(body.key);
      location.replace(body.next);
      return;
    }
    tell(words, `${body.error?.happened ?? "Not signed in."} ${body.error?.next ?? ""}`, "bad");
  } catch {
    button.disabled = false;
    tell(words, "No answer. You are not signed in. Try again.", "bad");
  }
});
if (button) {
  button.disabled = false;
  button.focus();
}

// At the provider: afterwards back to the page that was asked for.
const there = /** @type {HTMLButtonElement|null} */ (document.getElementById("provider-go"));
there?.addEventListener("click", async () => {
  const next = location.pathname.startsWith("/login") ? "/" : location.pathname + location.search;
  there.disabled = true;
  let trouble = "No answer. You are not signed in. Try again.";
  try {
    trouble = await away("/login/provider", { next });
  } catch {
    // said below
  }
  if (trouble) {
    tell($("sign-in-words"), trouble, "bad");
    there.disabled = false;
  }
});
if (there) there.disabled = false;
