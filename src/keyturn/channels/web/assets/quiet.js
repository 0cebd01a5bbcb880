// Pages that don't change by themselves still say whether the connection lives, and count what waits.

import { keys } from "./frame.js";
import { live } from "./live.js";

if (document.body.dataset.person) {
  live(
    () => {},
    () => {},
  );
  const up = /** @type {HTMLAnchorElement|null} */ (document.querySelector(".crumbs a"));
  keys({ Escape: () => (up ? up.click() : location.assign("/")) });
}
