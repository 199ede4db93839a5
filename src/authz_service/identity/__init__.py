"""Who a token speaks for: verified by its issuer's keys, for one audience.

- `verifier`: a token to a `Caller`, or what is wrong with it
- `trust`, `issuer`: the issuers of a configuration, each with its keys
- `revoked`: tokens that were withdrawn; `api_keys`: keys of our own
- `token`: what can be read of a token before its signature is checked
- `claims`, `groups`: verified claims to a `Caller`: times, person, groups
- `certificates`: services by the client certificate that Envoy has verified
- `service_accounts`: which tokens are a service's, and the scope that they bring
- `keys`: JSON Web Keys and which algorithms they may be used with
- `key_sources`: the seam to where keys come from, and keys that never change
- `jwks_file`: keys from a file
- `jwks_url`, `key_cache`, `download`: keys from an issuer's server, found by its metadata; kept, fetched
- `group_cache`, `directory`, `entra`, `google`: groups that a token leaves out, asked for and kept
- `embedded`: our own issuer, for one person trying things out
"""
