"""What goes on record, and how a change to it is found. Pure.

- `draft`: an entry before the store numbers it
- `entry`: the canonical bytes of an entry, which are the record itself, and payload digests
- `retention`: the classes of what is kept, each for its time
- `given_up`: the checkpoints of a log that was left behind
- `forgotten`: what entries say of what was purged or erased, and of what is kept
- `merkle`: the RFC 6962 tree over the entries, grown from its frontier
- `columns`: the query columns of a session, derived from its entries; `words`: what a search finds a body by
"""
