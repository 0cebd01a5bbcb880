// An entry, verified here: RFC 6962 §2.1 hashes, RFC 9162 §2.1.3.2 inclusion, RFC 9901 §4.2 disclosures. Own code, browser's SHA-256.

import { $, tell } from "./frame.js";
import "./quiet.js";

const card = $("verify");
const list = $("verify-checks");
const text = new TextEncoder();
const HEX = (/** @type {Uint8Array} */ bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

const bytes = (/** @type {string} */ base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const url64 = (/** @type {Uint8Array} */ b) =>
  btoa(String.fromCharCode(...b)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** SHA-256 over the parts, one after the other. @param {...Uint8Array} parts */
async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

const node = (/** @type {Uint8Array} */ left, /** @type {Uint8Array} */ right) => sha256(Uint8Array.of(1), left, right);

/** The root that a leaf hash and its path lead to in a tree of `size` (RFC 9162 §2.1.3.2); null when they don't fit. */
export async function rootOf(/** @type {Uint8Array} */ leaf, /** @type {number} */ index, /** @type {number} */ size, /** @type {Uint8Array[]} */ path) {
  let fn = BigInt(index);
  let sn = BigInt(size) - 1n;
  if (index < 0 || fn > sn) return null;
  let root = leaf;
  for (const step of path) {
    if (sn === 0n) return null;
    if (fn & 1n || fn === sn) {
      root = await node(step, root);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else root = await node(root, step);
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n ? root : null;
}

/** @param {string} proof */
function read(proof) {
  const cut = proof.indexOf("\n\n");
  const [first, ...lines] = proof.slice(0, cut).split("\n");
  const [origin, size, root] = proof.slice(cut + 2).split("\n");
  const index = lines.find((line) => line.startsWith("index "))?.slice(6);
  const path = lines.filter((line) => line && !/^(index|extra) /.test(line)).map(bytes);
  return { known: first === "c2sp.org/tlog-proof@v1", index: Number(index), path, origin, size: Number(size), root: bytes(root) };
}

/** Every check, in order: `[passed, words]`. */
async function checks(/** @type {{index: number, leaf: string, disclosures: string[], proof: string, checkpoint: string}} */ given) {
  /** @type {[boolean, string][]} */
  const found = [];
  const leaf = bytes(given.leaf);
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(leaf));
  const shown = Number(card.dataset.index);
  found.push([header.index === shown, `the leaf says it is entry ${header.index}; this page shows entry ${shown}`]);
  const committed = new Set(header._sd);
  for (const disclosure of given.disclosures) {
    const digest = url64(await sha256(text.encode(disclosure)));
    const [, name] = JSON.parse(new TextDecoder().decode(bytes(disclosure.replace(/-/g, "+").replace(/_/g, "/"))));
    found.push([committed.has(digest), `field “${name}”: its digest is ${committed.has(digest) ? "in" : "NOT in"} the leaf`]);
  }
  const withheld = committed.size - given.disclosures.length;
  if (withheld > 0) found.push([true, `${withheld} further fields are withheld or erased; the leaf still commits to them`]);
  const proof = read(given.proof);
  const hash = await sha256(Uint8Array.of(0), leaf);
  found.push([proof.known && proof.index === shown, `leaf hash ${HEX(hash)}`]);
  const root = await rootOf(hash, shown, proof.size, proof.path);
  const same = root !== null && HEX(root) === HEX(proof.root);
  found.push([same, same ? `${proof.path.length} hashes lead to the root ${HEX(proof.root)}` : `the path leads to ${root ? HEX(root) : "no root"}, the checkpoint says ${HEX(proof.root)}`]);
  found.push(remembered(proof.origin, proof.size, HEX(proof.root)));
  return found;
}

/** This browser remembers the largest tree it has seen: a log that shrank, or changed at the same size, is caught. */
function remembered(/** @type {string} */ origin, /** @type {number} */ size, /** @type {string} */ root) {
  const key = `keyturn.tree:${origin}`;
  const before = JSON.parse(localStorage.getItem(key) ?? "null");
  if (before && (size < before.size || (size === before.size && root !== before.root)))
    return /** @type {[boolean, string]} */ ([false, `this browser has seen this log with ${before.size} entries and root ${before.root}; now it has ${size} and ${root}`]);
  localStorage.setItem(key, JSON.stringify({ size, root }));
  return /** @type {[boolean, string]} */ ([true, before ? `not smaller than the ${before.size} entries this browser saw before` : "the first checkpoint this browser sees of this log; it is remembered"]);
}

const go = /** @type {HTMLButtonElement} */ ($("verify-go"));
go.disabled = false; // it was off until this script was there to answer
go.addEventListener("click", async () => {
  const words = $("verify-words");
  list.replaceChildren();
  card.dataset.result = "";
  tell(words, "Computing…");
  /** @type {[boolean, string][]} */
  let found;
  try {
    const answer = await fetch(card.dataset.proof ?? "", { headers: { accept: "application/json" } });
    const given = await answer.json();
    if (!answer.ok) throw new Error(given.error?.happened);
    found = await checks(given);
  } catch (error) {
    found = [[false, `the proof can't be read: ${error instanceof Error ? error.message : "no answer"}`]];
  }
  for (const [passed, said] of found) {
    const line = document.createElement("li");
    const mark = document.createElement("span");
    mark.className = passed ? "yes" : "no";
    mark.textContent = passed ? "yes" : "NO";
    const rest = document.createElement("span");
    rest.textContent = said;
    line.append(mark, rest);
    list.append(line);
  }
  const good = found.every(([passed]) => passed);
  card.dataset.result = good ? "good" : "bad";
  tell(
    words,
    good ? "Verified: these bytes are in the log, under the checkpoint shown." : "DOES NOT VERIFY: what this page shows is not what the log committed to.",
    good ? "good" : "bad",
  );
});
