// A real OpenID provider for the tests: node server.mjs PORT KEYS, a JWK Set with private keys.
// SIGHUP reads the keys again. It says "ready" when it listens.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [port, keys, audience] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

// Whoever logs in is in the groups that their name has after the dot: "alice.staff.leads".
const groupsOf = (name) => name.split('.').slice(1);

// The gateway's tokens unless another resource is asked for (RFC 8707): the review API has its own.
const resource = (indicator) => ({
  scope: 'chat model:llama',
  audience: indicator === 'urn:review' ? 'authz-review' : audience,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'RS256' } },
});

const configuration = () => ({
  jwks: JSON.parse(readFileSync(keys, 'utf8')),
  clients: [
    {
      client_id: 'batch.staff',
      client_secret: 'batch-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
    {
      client_id: 'web',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
    {
      client_id: 'terminal',
      token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
      response_types: [],
      redirect_uris: [],
    },
    ...['cli-review', 'cli-gateway'].map((client_id) => ({
      client_id,
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: [
        'authorization_code',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      redirect_uris: ['http://127.0.0.1/callback'],
    })),
  ],
  cookies: { keys: ['for tests alone'] },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:gateway',
      getResourceServerInfo: (_ctx, indicator) => resource(indicator),
      useGrantedResource: () => true,
    },
  },
  extraTokenClaims: (_ctx, token) => ({ groups: groupsOf(token.accountId ?? token.clientId) }),
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, groups: groupsOf(id) }) }),
  pkce: { required: () => true },
});

let answer = new Provider(issuer, configuration()).callback();
process.on('SIGHUP', () => {
  answer = new Provider(issuer, configuration()).callback();
  console.log('reloaded');
});
createServer((request, response) => answer(request, response)).listen(Number(port), '127.0.0.1', () => {
  console.log('ready');
});
