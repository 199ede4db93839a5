"""The tables. Times are microseconds since the epoch.

`entries` are only ever inserted into, but for bytes that go when their time is over. On PostgreSQL alone
`sessions_prefix` and `holds_prefix` are there too (revision 0019), for `prefixes`: SQLite's primary keys do.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
)
"""Every revision under migrations/versions, oldest first; a database at the last one is current."""

# In SQLite only INTEGER PRIMARY KEY is the row's own number; BIGINT would be a second index.
_Number = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("session", String),
    Column("body", LargeBinary, nullable=False),
    # Its hash in the tree, by which a changed entry is named. It stays when the body's time is over, and
    # the body is empty then.
    Column("leaf", LargeBinary),
    Index("entries_session", "session", "seq"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    # With a key this is the seed of the payload's own key, and its salt is derived from both.
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("key", String),
    Column("at", BigInteger, nullable=False, server_default="0"),
    Column("retention", String, nullable=False, server_default="payloads"),
    Index("payloads_at", "retention", "at"),
)

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    # The id of the log's key (4 bytes) and its signature over the checkpoint of this head.
    Column("signature", LargeBinary),
    CheckConstraint("id = 1", name="head_is_one_row"),
)


def _index_but(column: str, most: str) -> Index:
    """Of the rows that have another value than `most`, a literal of SQL."""
    others = text(f"{column} <> {most}")
    return Index(f"sessions_{column}", column, "seq", sqlite_where=others, postgresql_where=others)


sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("instance", String, nullable=False),
    Column("caller", String, nullable=False),
    Column("caller_detail", Text),
    Column("subject", String, nullable=False),
    Column("person", String, nullable=False),
    Column("api", String, nullable=False),
    Column("method", String, nullable=False),
    Column("path", String, nullable=False),
    Column("model", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("hold", String),
    Column("status", String, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("key", String),
    # What limits count it for: estimated while it is under way, then as the model said.
    Column("tokens", BigInteger),
    # Of its bodies on record.
    Column("bytes", BigInteger),
    # How many requests were refused as it was, soon after, and are counted with it.
    Column("repeated", BigInteger),
    Index("sessions_seq", "seq", unique=True),
    Index("sessions_subject", "subject", "seq"),
    # One for each filter of a list; where most rows have the same value, for the others alone.
    Index("sessions_started", "started_at", "seq"),
    Index("sessions_model", "model", "seq"),
    Index("sessions_rule", "rule", "seq"),
    Index("sessions_caller", "caller", "seq"),
    _index_but("person", "''"),
    _index_but("decision", "'allow'"),
    _index_but("status", "'completed'"),
    # When a key was last used; most sessions have none.
    Index(
        "sessions_key",
        "key",
        "started_at",
        sqlite_where=text("key IS NOT NULL"),
        postgresql_where=text("key IS NOT NULL"),
    ),
    # Recovery looks for these at each start.
    Index(
        "sessions_unended",
        "instance",
        "seq",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

session_budgets = Table(
    "session_budgets",
    metadata,
    # Of groups, as the configuration calls it; and the number of a session that counts for it.
    Column("budget", String, primary_key=True),
    Column("session", BigInteger, primary_key=True, autoincrement=False),
    # Purges and verification go by the session.
    Index("session_budgets_session", "session"),
    sqlite_with_rowid=False,
)

IS_OPEN = "state IN ('pending', 'approved')"
_TURNING = "turn_at IS NOT NULL"
_TO_REVIEW = "review = 'due'"

holds = Table(
    "holds",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("session", String, nullable=False),
    Column("identity", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("forward", LargeBinary, nullable=False),
    Column("forward_size", BigInteger, nullable=False),
    Column("subject", String, nullable=False),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("released_to", String),
    # When the next turn of an open stage is due; NULL when none is.
    Column("turn_at", BigInteger),
    # From when on votes count: when it was opened, or edited last.
    Column("begun_at", BigInteger, nullable=False, server_default="0"),
    Column("review", String, nullable=False, server_default=""),
    Index("holds_seq", "seq", unique=True),
    Index("holds_changed", "changed"),
    Index("holds_request", "identity", "fingerprint", "seq"),
    # The last guard of "one open hold for each person and request", whatever the code above it does.
    Index(
        "holds_one_open",
        "identity",
        "fingerprint",
        unique=True,
        sqlite_where=text(IS_OPEN),
        postgresql_where=text(IS_OPEN),
    ),
    Index("holds_deadline", "deadline", sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
    Index("holds_turn", "turn_at", sqlite_where=text(_TURNING), postgresql_where=text(_TURNING)),
    Index("holds_review", "seq", sqlite_where=text(_TO_REVIEW), postgresql_where=text(_TO_REVIEW)),
)

votes = Table(
    "votes",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("approves", Boolean, nullable=False),
    Column("digest", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("votes_hold", "hold", "seq"),
    # No key is NULL, and NULLs are distinct: then every vote is one of its own.
    Index("votes_once", "hold", "voter", "idempotency_key", unique=True),
)

hold_acts = Table(
    "hold_acts",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("hold_acts_hold", "hold", "seq"),
    Index("hold_acts_once", "hold", "voter", "idempotency_key", unique=True),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    # The last entry about it: what is compared when it is set.
    Column("changed", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("beneficiary", String, nullable=False),
    Column("model", String, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Until when it may still get its votes.
    Column("deadline", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("grants_seq", "seq", unique=True),
    Index("grants_hold", "hold"),
    Index("grants_beneficiary", "beneficiary", "until"),
)

grant_acts = Table(
    "grant_acts",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("grant_id", String, nullable=False),
    # That of the grant: a request with the same key again finds what it made.
    Column("hold", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("voter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("idempotency_key", String),
    Column("at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Index("grant_acts_grant", "grant_id", "seq"),
    Index("grant_acts_once", "hold", "voter", "idempotency_key", unique=True),
)

grant_uses = Table(
    "grant_uses",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("grant_id", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("session", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    # The last guard of "at most so many uses", whatever the code above it does.
    Index("grant_uses_once", "grant_id", "number", unique=True),
    Index("grant_uses_session", "session"),
)

revocations = Table(
    "revocations",
    metadata,
    # The entry that withdrew them, with whose payloads lies who and why.
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("until", BigInteger),
    Column("at", BigInteger, nullable=False),
)

used_once = Table(
    "used_once",
    metadata,
    # SHA-256 of what may be used once: an assertion, a login, a code.
    Column("digest", String, primary_key=True),
    Column("until", BigInteger, nullable=False),
    # The entry that says for what.
    Column("seq", BigInteger, nullable=False),
    Index("used_once_until", "until"),
)

kept_results = Table(
    "kept_results",
    metadata,
    # A pseudonym of what the model server calls it; the entry that says so; and of whose it is.
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String, nullable=False),
    # Purges and verification go by the entry.
    Index("kept_results_seq", "seq"),
    sqlite_with_rowid=False,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    # A pseudonym, "" for those from before entries had one.
    Column("name", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("replaces", String),
    Column("seq", BigInteger, nullable=False),
    # The entries that made and revoked it, with whose payloads lies whose it is.
    Column("made", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Index("api_keys_hash", "hash", unique=True),
    Index("api_keys_name", "name"),
    # One key takes the place of another; no key is NULL, and NULLs are distinct.
    Index("api_keys_replaces", "replaces", unique=True),
    Index("api_keys_seq", "seq"),
)

_QUEUED = "state = 'queued'"

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),
    # The entry that it tells of; its kind, hold, grant, time and deadline are those of the columns.
    Column("seq", BigInteger, nullable=False),
    Column("receiver", String, nullable=False),
    Column("hold", String, nullable=False),
    Column("event", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("deadline", BigInteger),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it is tried again; whoever has claimed it sets this to when others may.
    Column("next_at", BigInteger, nullable=False),
    Column("give_up_at", BigInteger, nullable=False),
    Column("delivered_at", BigInteger),
    Column("last_error", String, nullable=False),
    # The last entry of its own: that it was given up, or is tried again.
    Column("changed", BigInteger),
    # The grant that it is about; NULL where that is the hold itself.
    Column("grant_id", String),
    Index("outbox_once", "seq", "receiver", unique=True),
    Index("outbox_hold", "hold", "seq"),
    Index("outbox_due", "receiver", "next_at", sqlite_where=text(_QUEUED), postgresql_where=text(_QUEUED)),
)
