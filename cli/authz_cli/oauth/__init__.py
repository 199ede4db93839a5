"""Logins of people at an OpenID provider, and the tokens that come of them.

- `client`, `provider`: what we ask for, and the provider's endpoints by its metadata
- `asking`: bounded requests to the provider
- `code_flow`, `loopback`: through a browser on this machine (RFC 8252, PKCE)
- `device_flow`: through a browser elsewhere (RFC 8628)
- `grants`: the token endpoint's answers, refreshing and revoking
- `saved`, `secrets`: logins that are kept, and their tokens in the keyring or in the file
- `fresh`: a token that is good now, refreshed by one process at a time
"""
