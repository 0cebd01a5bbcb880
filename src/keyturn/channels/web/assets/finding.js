// A finding's page says once that somebody looked: not when it was fetched, but when it is in front of them.

import { post } from "./frame.js";

const address = document.getElementById("look")?.dataset.viewed;
let told = !address;

async function look() {
  if (told || document.visibilityState !== "visible") return;
  told = true;
  try {
    await post(address ?? "", {});
  } catch {
    told = false; // the next time that it comes to the front
  }
}
document.addEventListener("visibilitychange", look);
look();
