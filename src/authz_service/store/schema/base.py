"""What all tables have in common."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

# In SQLite only INTEGER PRIMARY KEY is the row's own number; BIGINT would be a second index.
NUMBER = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()
"""Has all tables as soon as the package is imported."""
