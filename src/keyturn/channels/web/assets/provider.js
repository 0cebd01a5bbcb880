// Back from the OpenID provider: hand over what it put into the address, and take it out of the history.

import { keyOf } from "./away.js";
import { $, keep, post, tell } from "./frame.js";

const given = new URLSearchParams(location.search);
const words = $("sign-in-words");
history.replaceState(null, "", location.pathname);

async function finish() {
  const state = given.get("state") ?? "";
  const body = { state, key: keyOf(state), code: given.get("code") ?? "", iss: given.get("iss") ?? "" };
  try {
    const { ok, body: answer } = await post("/login/provider/finish", body);
    if (ok) {
      if (answer.key) keep(answer.key);
      location.replace(answer.next);
      return;
    }
    const error = answer.error ?? {};
    tell(words, `${error.happened ?? "No."} ${error.not_done ?? ""} ${error.next ?? ""}`.trim(), "bad");
  } catch {
    tell(words, "No answer from Keyturn. It is not known whether this was recorded: look at the queue.", "bad");
  }
}

if ($("sign-in").dataset.error) {
  keyOf(given.get("state") ?? "");
  words.dataset.tone = "bad";
} else finish();
