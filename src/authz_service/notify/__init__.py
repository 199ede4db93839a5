"""Brings notifications about holds to whoever is to be told.

- `channel`: the seam: a channel takes one notice, or says why it did not
- `webhook`: a channel that speaks HTTP, signed as `standard_webhooks` says
- `secrets`: what notices are signed with, read anew for each, so that it can be changed while we run
"""
