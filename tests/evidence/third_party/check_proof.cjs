// check_proof verifies entries of an exported Keyturn log with the transparency log code of @sigstore/verify.
//
//   node check_proof.cjs VKEY FOLDER PROOF...
//
// VKEY is the log's key as you got it from somebody you trust. Each PROOF is a file N.tlog-proof of entry N (c2sp.org/tlog-proof).
// With - for FOLDER, lines {"folder": "...", "proofs": [...]} are read from standard input. One line of JSON answers each.
"use strict";
const { createHash, createPublicKey } = require("node:crypto");
const { lstatSync, readFileSync } = require("node:fs");
const { basename, join } = require("node:path");
const { createInterface } = require("node:readline");
const tlog = require.resolve("@sigstore/verify").replace(/index\.js$/, "tlog/");
const { verifyCheckpoint } = require(join(tlog, "checkpoint.js"));
const { verifyMerkleInclusion } = require(join(tlog, "merkle.js"));

// A verifier key is <name>+<id>+<base64 of 1 and the Ed25519 key> (c2sp.org/signed-note).
function logOf(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const typed = Buffer.from(rest.join("+"), "base64");
  const digest = createHash("sha256").update(name + "\n").update(typed).digest();
  if (typed.length !== 33 || typed[0] !== 1 || digest.toString("hex", 0, 4) !== id) throw new Error("not a key of a log");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), typed.subarray(1)]);
  return { logID: digest, baseURL: name, publicKey: createPublicKey({ key: der, format: "der", type: "spki" }) };
}

function read(path) {
  if (!lstatSync(path).isFile()) throw new Error(`${path} is no plain file`); // a pipe would keep us waiting
  return readFileSync(path);
}

const known = new Map(); // many proofs have the same checkpoint

// The head of a checkpoint that the log signed.
function headOf(note, log) {
  if (known.has(note)) return known.get(note);
  const head = verifyCheckpoint({ inclusionProof: { checkpoint: { envelope: note } } }, [log]);
  if (head.origin !== log.baseURL) throw new Error("a checkpoint of another log");
  known.set(note, head);
  return head;
}

function hashOf(line) {
  const hash = Buffer.from(line, "base64");
  if (hash.length !== 32 || hash.toString("base64") !== line) throw new Error(`${line} is no hash`);
  return hash;
}

// The entries of the bundle that entry *index* is in (c2sp.org/tlog-tiles).
function bundleOf(folder, index, size) {
  const bundle = Math.floor(index / 256);
  const groups = String(bundle).padStart(Math.ceil(String(bundle).length / 3) * 3, "0").match(/.../g);
  const name = groups.map((digits, at) => (at + 1 < groups.length ? "x" + digits : digits)).join("/");
  const width = Math.min(256, size - bundle * 256);
  const data = read(join(folder, "tile/entries", width < 256 ? `${name}.p/${width}` : name));
  const entries = [];
  for (let at = 0; at < data.length; at += 2 + data.readUInt16BE(at)) entries.push(data.subarray(at + 2, at + 2 + data.readUInt16BE(at)));
  const length = entries.reduce((sum, entry) => sum + 2 + entry.length, 0);
  if (entries.length !== width || length !== data.length) throw new Error(`bundle ${name} does not hold ${width} whole entries`);
  return entries;
}

function check(folder, proofs, log) {
  const head = headOf(read(join(folder, "checkpoint")).toString(), log);
  const bundles = new Map();
  for (const file of proofs) {
    const text = read(file).toString();
    const gap = text.indexOf("\n\n");
    const [format, index, ...path] = text.slice(0, gap).split("\n");
    if (gap < 0 || format !== "c2sp.org/tlog-proof@v1") throw new Error(`${file} is no tlog-proof`);
    if (index !== "index " + basename(file).split(".")[0]) throw new Error(`${file} is of another entry`);
    const number = Number(index.slice("index ".length));
    const envelope = text.slice(gap + 2);
    const proven = headOf(envelope, log);
    if (proven.logSize > head.logSize) throw new Error(`rolled back: ${head.logSize} entries, and ${file} knows of ${proven.logSize}`);
    if (proven.logSize === head.logSize && !proven.logHash.equals(head.logHash)) throw new Error(`forked: not the log of ${file}`);
    const bundle = Math.floor(number / 256);
    if (!bundles.has(bundle)) bundles.set(bundle, bundleOf(folder, number, Number(head.logSize)));
    verifyMerkleInclusion(
      {
        canonicalizedBody: bundles.get(bundle)[number % 256],
        inclusionProof: { logIndex: String(number), hashes: path.map(hashOf), checkpoint: { envelope } },
      },
      proven,
    );
  }
  return { intact: true, origin: head.origin, size: Number(head.logSize), root: head.logHash.toString("base64") };
}

function answer(folder, proofs, log) {
  let said;
  try {
    said = check(folder, proofs, log);
  } catch (error) {
    said = { intact: false, why: error.message };
  }
  console.log(JSON.stringify(said));
  return said.intact;
}

const [vkey, folder, ...proofs] = process.argv.slice(2);
const log = logOf(vkey);
if (folder !== "-") {
  process.exitCode = answer(folder, proofs, log) ? 0 : 7;
} else {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const asked = JSON.parse(line);
    answer(asked.folder, asked.proofs, log);
  });
}
