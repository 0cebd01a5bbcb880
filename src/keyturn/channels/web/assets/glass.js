// Breaking the glass: a reason, the person's own passkey, and everybody hears.

import { $, post, tell } from "./frame.js";

const page = $("request");
const button = /** @type {HTMLButtonElement|null} */ (document.getElementById("glass-now"));
const address = `/requests/${encodeURIComponent(page.dataset.id ?? "")}/breakglass`;

async function release() {
  const words = $("glass-words");
  const why = /** @type {HTMLInputElement} */ ($("glass-why"));
  const { digest, display } = page.dataset;
  const given = { digest, display, reason: why.value.trim() };
  if (!given.reason) {
    tell(words, "Say why it can't wait: nothing was sent yet.", "bad");
    return why.focus();
  }
  if (button) button.disabled = true;
  try {
    tell(words, "Confirm with your passkey…");
    const asked = await post(`${address}/statement`, given);
    if (!asked.ok) throw new Error(`${asked.body.error.happened} ${asked.body.error.next}`);
    const signed = await (await import("./passkey.js")).sign(asked.body);
    const { ok, body } = await post(address, { ...given, ...signed });
    if (!ok) throw new Error(`${body.error.happened} ${body.error.not_done} ${body.error.next}`);
    tell(words, body.words, "good");
    location.reload();
  } catch (error) {
    tell(words, error instanceof Error ? error.message : "Not released.", "bad");
    if (button) button.disabled = false;
  }
}

if (button) {
  button.disabled = false;
  button.addEventListener("click", release);
}
