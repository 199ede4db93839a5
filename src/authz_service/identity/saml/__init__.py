"""Logins by SAML 2.0 (the extra `saml`): an assertion comes in, a short-lived token of ours goes out.

- `xml`: documents without anything in them that two readers could take differently
- `signatures`: the one element that a signature is good for, as it was signed
- `response`: what the browser brings: a response with one assertion
- `assertion`: what an assertion says, and whether it is for us, now, and for this login
- `person`: an assertion's subject and attributes as the claims of a token
- `metadata`, `providers`: identity providers by their metadata, fetched and kept
- `request`: what the browser takes to the provider; a login's state is sealed in its ID
- `request_signer`: the key for providers that take signed requests only, and its certificate
- `own_metadata`: what the provider is to know of us
- `box`, `tokens`: what only we can open, and what only we can sign
"""
