// To the OpenID provider and back. The journey's key stays in storage that only pages of this very origin can read.

import { post } from "./frame.js";

const journey = (/** @type {string} */ state) => `keyturn.journey.${state}`;

/** Ask the server for the way there and go; gives the error in words if there is none. */
export async function away(/** @type {string} */ address, /** @type {object} */ body) {
  const { ok, body: answer } = await post(address, body);
  if (!ok) return `${answer.error?.happened ?? "No."} ${answer.error?.not_done ?? ""} ${answer.error?.next ?? ""}`.trim();
  const old = Object.keys(localStorage).filter((name) => name.startsWith(journey("")));
  if (old.length > 8) for (const name of old) localStorage.removeItem(name); // given up at the provider
  localStorage.setItem(journey(answer.state), answer.key);
  location.assign(answer.location);
  return "";
}

/** The key of the journey that *state* ends; it is forgotten here. */
export function keyOf(/** @type {string} */ state) {
  const key = localStorage.getItem(journey(state)) ?? "";
  localStorage.removeItem(journey(state));
  return key;
}
