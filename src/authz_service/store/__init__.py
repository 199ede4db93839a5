"""Durable state: the entries with their Merkle root, sessions, holds and votes. SQLite or PostgreSQL.

- `open`: opens a store by URL; `sql_store`: the `Store` of core/ports
- `schema`, `migrate`, `migrations/`: the tables, and how a database gets them
- `database`, `sqlite`, `postgres`: connections that are as durable as we promise, and their clock
- `writer`: one thread, one connection, group commit; `ledger`: the entries of one transaction
- `opening`, `voting`, `ending`, `recovery`: units of work that change holds and sessions
- `hold_rows`: a hold and its votes as rows; `queries`, `paging`: reading
- `faults`: what a database error means to whoever waits
"""
