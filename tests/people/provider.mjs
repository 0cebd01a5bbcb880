// An OpenID provider for the tests: npm's certified `oidc-provider` with people, groups and a sign-in form. Never shipped.
// usage: node provider.mjs CONFIG.json   ({port, folder, clients, people, kid}); prints one line once it listens.

import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const require = createRequire(`${config.folder}/`);
const { Provider, interactionPolicy } = await import(pathToFileURL(require.resolve("oidc-provider")));

const issuer = `http://127.0.0.1:${config.port}`;
const keys = `${process.argv[2]}.${config.kid}.jwk`;
if (!existsSync(keys)) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(keys, JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid: config.kid, use: "sig", alg: "RS256" }));
}
const people = () => JSON.parse(readFileSync(process.argv[2], "utf8")).people; // read anew: groups change while it runs

const policy = interactionPolicy.base();
policy.get("consent").checks.remove("native_client_prompt"); // the client is native so that any port of this machine may be its page

const provider = new Provider(issuer, {
  clients: config.clients,
  jwks: { keys: [JSON.parse(readFileSync(keys, "utf8"))] },
  claims: { openid: ["sub", "groups", "acr", "amr", "auth_time", "sid"], profile: ["name", "preferred_username"], email: ["email"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["tests"] },
  acrValues: ["urn:test:password", "urn:test:hardware"],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, sub) => (people()[sub] ? { accountId: sub, claims: () => ({ sub, ...people()[sub] }) } : undefined),
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, next) => {
  const found = /^\/interaction\/([\w-]+)(\/abort)?$/.exec(ctx.path);
  if (!found) return next();
  if (found[2]) return provider.interactionFinished(ctx.req, ctx.res, { error: "access_denied", error_description: "gave up" });
  if (ctx.method === "GET") {
    ctx.type = "html";
    ctx.body = `<!doctype html><title>Test provider</title><form method="post"><label>Account <input name="login" autofocus></label>
      <button>Sign in</button></form><a href="/interaction/${found[1]}/abort">Give up</a>`;
    return;
  }
  let body = "";
  for await (const chunk of ctx.req) body += chunk;
  const login = new URLSearchParams(body).get("login");
  const known = people()[login];
  if (!known) {
    ctx.status = 401;
    ctx.body = "nobody";
    return;
  }
  const acr = known.acr ?? "urn:test:password";
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: login, acr, amr: ["pwd"], remember: true } });
  ctx.respond = false;
});

provider.listen(config.port, "127.0.0.1", () => console.log("listening"));
