// A SAML identity provider out of npm's samlp: node server.mjs PORT KEY CERT CONSUMER AUDIENCE
// Whoever comes with login=NAME is logged in, in the groups that follow the dots of the name.
// `how` says what to do otherwise than a good provider: sha1, response-only, encrypted; with `insisting` it logs in
// nobody whose request is not signed by the key in CERT.us.
import { readFileSync } from "node:fs";
import express from "express";
import samlp from "samlp";

const [port, keyFile, certFile, consumer, audience] = process.argv.slice(2);
const key = readFileSync(keyFile, "utf8");
const cert = readFileSync(certFile, "utf8");
const base = `http://127.0.0.1:${port}`;
const issuer = `${base}/entity`;

function Profile(user) {
  return {
    getClaims: () => ({ groups: user.groups, mail: `${user.name}@example.com` }),
    getNameIdentifier: () => ({
      nameIdentifier: user.name,
      nameIdentifierFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    }),
  };
}

const ways = {
  good: {},
  both: { signResponse: true },
  sha1: { signatureAlgorithm: "rsa-sha1", digestAlgorithm: "sha1" },
  "response-only": { signResponse: true, signAssertion: false },
  encrypted: {
    encryptionCert: cert,
    encryptionPublicKey: readFileSync(`${keyFile}.pub`, "utf8"),
  },
};

const app = express();
app.get("/metadata", samlp.metadata({ issuer, cert, redirectEndpointPath: "/sso", postEndpointPath: "/sso" }));
app.get("/sso", (request, response, next) => {
  const [name, ...groups] = String(request.query.login ?? "").split(".");
  if (!name) return response.send("log in with login=NAME.GROUP.GROUP");
  return samlp.auth({
    issuer,
    cert,
    key,
    audience,
    destination: consumer,
    recipient: consumer,
    signatureAlgorithm: "rsa-sha256",
    digestAlgorithm: "sha256",
    lifetimeInSeconds: 300,
    profileMapper: Profile,
    getPostURL: (_audience, _request, _req, done) => done(null, consumer),
    getUserFromRequest: () => ({ name, groups }),
    ...ways[request.query.how ?? "good"],
    ...(request.query.how === "insisting" && { signingCert: readFileSync(`${certFile}.us`, "utf8") }),
  })(request, response, next);
});
app.listen(Number(port), "127.0.0.1");
