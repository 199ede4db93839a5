"""Decides, holds, masks and records every request to a language model behind Envoy.

The packages, each importing only those below it (checked by `make check`):

- `app`: the composition root
- `commands`: what runs on this machine: up, serve, token, policy, envoy, doctor
- `proxy`: fills in envoy/envoy.yaml, checks it, supervises Envoy
- `servers`: ext_authz, ext_proc, the review API, health and metrics; they translate
- `runtime`: drives one exchange, wakes holds, reloads the policy
- `store`, `identity`, `cel`, `notify`, `keys`: the database, tokens, the CEL engine, who is told of holds,
  secrets on disk
- `config`: authz.yaml to frozen values
- `core`: the life of an exchange and of a hold; pure
- `policy`, `audit`: rules to decisions; entries and the Merkle tree; pure
- `inspection`: a body to what was found in it and what may go on; pure
- `model_apis`: one file for each dialect; pure
- `view`: the neutral request and answer; pure
- `framing`, `masking`: JSON and SSE; detectors and the incremental scanner; pure
- `errors`: the one error tree
"""
