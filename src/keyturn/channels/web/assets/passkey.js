// Passkeys: making one and signing with one. What the authenticator gives goes to the server as it is; the server checks it.

/** @param {string} text base64url */
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

/** @param {ArrayBuffer} data */
const text = (data) =>
  btoa(String.fromCharCode(...new Uint8Array(data)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

/** Words for people, for what the browser or the authenticator refused. */
export class Refused extends Error {}

/** @param {unknown} error @param {string} what */
function refused(error, what) {
  const name = error instanceof DOMException ? error.name : "";
  const why =
    {
      NotAllowedError: "it was cancelled, took too long, or could not check that it is you (PIN, fingerprint or face)",
      InvalidStateError: "this authenticator has one of your passkeys already",
      SecurityError: "the browser does not allow passkeys on this page",
      NotSupportedError: "this authenticator can make no passkey of the kinds that are accepted",
    }[name] ?? "the browser refused it";
  return new Refused(`${what}: ${why}.`);
}

function able() {
  if (!navigator.credentials || !globalThis.PublicKeyCredential) throw new Refused("This browser has no passkeys here.");
}

/** A new passkey, from the server's options. */
export async function make(/** @type {any} */ o) {
  able();
  try {
    const made = /** @type {any} */ (
      await navigator.credentials.create({
        publicKey: {
          challenge: bytes(o.challenge),
          rp: { id: o.rp_id, name: "Keyturn" },
          user: { id: bytes(o.user), name: o.person, displayName: o.name },
          pubKeyCredParams: o.algorithms.map((/** @type {number} */ alg) => ({ type: "public-key", alg })),
          authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
          excludeCredentials: o.exclude.map((/** @type {string} */ id) => ({ type: "public-key", id: bytes(id) })),
          attestation: o.attestation,
        },
      })
    );
    return {
      type: "passkey",
      random: o.random,
      client_data: text(made.response.clientDataJSON),
      attestation_object: text(made.response.attestationObject),
      credential_id: text(made.rawId),
    };
  } catch (error) {
    throw refused(error, "No passkey was made");
  }
}

/** Sign the statement that the server handed out: what goes with the decision. */
export async function sign(/** @type {any} */ s) {
  able();
  try {
    const made = /** @type {any} */ (
      await navigator.credentials.get({
        publicKey: {
          challenge: bytes(s.challenge),
          rpId: s.rp_id,
          userVerification: "required",
          allowCredentials: s.credentials.map((/** @type {any} */ one) => ({ type: "public-key", id: bytes(one.id) })),
        },
      })
    );
    const id = text(made.rawId);
    const key = s.credentials.find((/** @type {any} */ one) => one.id === id)?.key ?? "";
    const { clientDataJSON, authenticatorData, signature } = made.response;
    const proof = { type: "passkey", key, client_data: text(clientDataJSON), authenticator_data: text(authenticatorData), signature: text(signature) };
    return { nonce: s.nonce, proof };
  } catch (error) {
    throw refused(error, "Not signed");
  }
}
