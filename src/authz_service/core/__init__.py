"""The life of an exchange and of a hold; values in, values out.

- `exchange`: every transition of an exchange, in one file; `states`, `events` and `commands` are its words
- `request`, `entries`, `replies`: what it is about, what it puts on record, what it tells callers
- `holds`: approvals, stages and votes; `standing`: where a hold stands by them; `stage_terms`: stages as JSON
- `grants`, `grant_terms`, `caller_facts`: what a grant covers, its terms, and what of its caller has to stay
- `business_hours`: clocks that stand still; `acts`: what reviewers do beside voting
- `people`: which accounts are of services; `likeness`: how alike two requests are
- `api_keys`, `revocations`: keys of our own, and tokens that count no longer
- `limits`, `limit_headers`: how much each may have, and what callers are told; `usage`: what was used
- `notifications`: who is told of holds, and what is asked of the outbox
- `ports`: what is asked of the store; `stored_holds`, `stored_grants`, `openings`: both as it has them, and
  what opening a hold comes to; `ballots`: votes as they are cast
- `pages`: lists in parts
- `sessions`: exchanges as the record has them; `live_sessions`: what is asked about those that still run
"""
