"""Durable state: the entries with their Merkle root, sessions, holds and votes. SQLite or PostgreSQL.

- `open`: opens a store by URL; `sql_store`: the `Store` of core/ports, joined of its `parts/`
- `schema/`, `migrate`, `migrations/`: the tables, and how a database gets them
- `crew`: whether several processes can share what is configured
- `connecting`, `database`, `sqlite`, `postgres`: connections as durable as we promise, and their clock
- `open_keys`, `keyring`, `key_store`, `key_schema`: the keys of subjects, in a database of their own
- `backup`: a copy of a database in use
- `sealing`, `payload_rows`, `binding`: payloads sealed and opened with them; whether they are the record's
- `forgetting`: `purging` by age, `keeping` in spite; `erasures`: `erasing` people, in `erasing_units`;
  `asking`: what these ask of the store; `forgotten_rows`, `missing`: what entries say of that
- `entry_bytes`: entries that are found by what their bytes have
- `erasing_look`: what is looked at before somebody is erased: `erased_names`, `erasing_open`, `erasing_kept`
  with `kept_parts`; `speakers`, `sound_entries`: who said what, and which entries are as they were recorded
- `writer`: one thread and its queue; `waits`: how long its callers wait; `batch`: a group as one transaction
- `doubt`: commits whose answer was lost
- `transaction`, `ledger`: what a unit may do; the entries of one transaction; `prepared`: its SQL, made once
- `opening`, `voting`, `acting`, `turning`, `ending`, `recovery`: units of work that change holds and sessions
- `sweeping`: for which holds something is due, past those that cannot be read
- `granting`, `grant_ending`, `grant_acting`, `spending`: grants made, ended, and used; `grant_rows`,
  `grant_queries`: they and their votes as rows, made of `grant_documents`
- `eligibility`: who has no say on a hold; `zone_rules`: what a hold keeps of time zones
- `news`: which holds have changed, told at once
- `admitting`: requests under limits; `used`: what was used of these; `usage_rows`: reports of it
- `api_key_rows`, `revocation_rows`: API keys, and tokens that were withdrawn
- `hold_rows`, `vote_rows`: holds, votes and acts as rows, made of `hold_documents` and `column_texts`
- `hold_standing`: how a hold's row stands at a moment; `loading`: a hold with all that belongs to it
- `damage`: what reading a row raises that was altered
- `queries`, `paging`: reading
- `session_queries`, `search_index`, `search_texts`, `search_schema`: lists of sessions, and their index
- `live_sessions`, `policies`: what is new, what is to end; the configurations that were in force
- `faults`: what a database error means to whoever waits
- `verify_store`: rows held against entries, with a `verify_` file for each kind; `verify_holds` follows the
  entries of holds (`verify_hold_course`, `verify_hold_acts`) and has their rows compared (`verify_hold_rows`)
"""
