// The list of findings: filters as an address.

import { $ } from "./frame.js";
import "./quiet.js";

const value = (/** @type {string} */ id) => /** @type {HTMLInputElement|HTMLSelectElement} */ ($(id)).value.trim();

function filter() {
  const asked = new URLSearchParams({ state: $("filters").dataset.state ?? "all" });
  for (const name of ["area", "severity", "agent"]) if (value(`f-${name}`)) asked.set(name, value(`f-${name}`));
  location.assign(`/findings?${asked}`);
}
$("f-go").addEventListener("click", filter);
for (const id of ["f-area", "f-severity"]) $(id).addEventListener("change", filter);
$("filters").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && /** @type {HTMLElement} */ (event.target).matches("input")) filter();
});
