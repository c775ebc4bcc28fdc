// Mints the tokens with which a host app vouches for its users. Node.js alone, no packages.
//
//   node mint-token.mjs v1 CLIENT_ID CLIENT_KEY.pem USER_ID NAME
//   node mint-token.mjs v2 CLIENT_ID PRIVATE_KEY.pem USER_ID NAME [--groups a,b] [--kid ID]
//
// v1 seals with the key that Chat2LLM gave you; v2 signs with your own, whose public half you
// registered. Mint on your server, for each opening of the chat page, for the user who is logged in.

import crypto from "node:crypto";
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const LIFETIME = 300; // seconds; a v2 token is good once, and for at most 15 minutes

// A sealed token. The client key is a shared secret, whatever its PEM says.
export function mintV1(clientId, clientKey, userId, name, { at = String(Date.now() / 1000) } = {}) {
  if (userId.includes("|")) throw new Error("a user id must not contain |");
  const sealed = crypto.publicEncrypt(
    { key: clientKey, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
    Buffer.from(`${clientId}|${userId}|${name}|${at}`),
  );
  return Buffer.from(`${clientId}|${sealed.toString("base64")}`).toString("base64");
}

// A signed token (JWT). Nobody else can make one, because the private key is yours alone.
export function mintV2(
  clientId, privateKey, userId, name,
  { groups, kid, at = Date.now() / 1000, jti = crypto.randomUUID() } = {},
) {
  const key = crypto.createPrivateKey(privateKey);
  const now = Math.floor(at);
  const header = { alg: algorithm(key), typ: "JWT", kid };
  const claims = {
    iss: clientId, aud: "chat2llm", sub: userId, name, jti, iat: now, exp: now + LIFETIME, groups,
  };
  const signed = `${part(header)}.${part(claims)}`; // what is undefined is left out
  const hash = header.alg === "EdDSA" ? null : "sha256";
  const signature = crypto.sign(hash, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

function algorithm(key) {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "ed25519") return "EdDSA";
  if (key.asymmetricKeyType === "ec" && curve === "prime256v1") return "ES256";
  if (key.asymmetricKeyType === "rsa") return "RS256";
  throw new Error("the private key must be Ed25519, P-256 or RSA");
}

function part(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      groups: { type: "string" }, // v2: departments, comma separated
      kid: { type: "string" }, // v2: which of your registered keys it is
      at: { type: "string" }, // Unix time instead of now, for tests
      jti: { type: "string" }, // v2: token id instead of a random one, for tests
    },
  });
  const [version, clientId, keyFile, userId, name] = positionals;
  if (!["v1", "v2"].includes(version) || positionals.length !== 5) {
    throw new Error("usage: v1|v2 CLIENT_ID KEY.pem USER_ID NAME [--groups a,b] [--kid ID]");
  }
  const groups = values.groups?.split(",").filter(Boolean);
  const mint = version === "v1" ? mintV1 : mintV2;
  console.log(mint(clientId, fs.readFileSync(keyFile, "utf8"), userId, name, { ...values, groups }));
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
