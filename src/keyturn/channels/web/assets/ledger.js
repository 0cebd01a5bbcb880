// The ledger's stream: filters as an address, and a word when newer entries are there.

import { $, keys } from "./frame.js";
import { live } from "./live.js";

const value = (/** @type {string} */ id) => /** @type {HTMLInputElement|HTMLSelectElement} */ ($(id)).value.trim();

function filter() {
  const asked = new URLSearchParams();
  for (const name of ["type", "session", "request"]) if (value(`f-${name}`)) asked.set(name, value(`f-${name}`));
  location.assign(`/ledger?${asked}`);
}
$("f-go").addEventListener("click", filter);
$("f-type").addEventListener("change", filter);
$("filters").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && /** @type {HTMLElement} */ (event.target).matches("input")) filter();
});

const newer = document.getElementById("newer");
let count = 0;
live(() => {
  count += 1;
  if (!newer) return;
  newer.hidden = false;
  newer.textContent = `${count} newer ${count === 1 ? "entry" : "entries"}: show`;
});
keys({ Escape: () => location.assign("/") });
