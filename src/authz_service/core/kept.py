"""Whose the results are that a model server keeps, on whatever replica: each belongs to who was given it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol
from urllib.parse import urlsplit

from authz_service.audit.draft import Data
from authz_service.view.kept import Kept

NAMES: Final = "names"
OWNER: Final = "caller"
"""The members of an `answer.kept` entry's data by which its rows are made."""


def server_of(url: str) -> str:
    """Which server a model's `url` leads to: models of one server share what it keeps.

    Two spellings of one host and port are the same; two names of one host are not.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return f"{host}|{parts.port or (443 if parts.scheme == 'https' else 80)}"


def secret_of(kept: Kept, *, server: str) -> tuple[str, str]:
    """What a pseudonym is made of to stand for the name of a result; no identity is ever like it.

    `server` is that of `server_of`: two model servers may give the same id, and the same server gives it
    whichever of its models was asked.
    """
    return f"urn:authz:kept:{kept.result.value}", f"{len(server)}:{server}{kept.id}"


Row = tuple[str, int, str]
"""A name, the entry that says so, and of whose it is."""


def rows_of(data: Data, sequence: int) -> list[Row]:
    """The rows that an `answer.kept` entry makes; raises KeyError and ValueError for other data."""
    names, owner = data[NAMES], data[OWNER]
    if not isinstance(names, list):
        raise ValueError("the entry does not say what is kept")
    return [(str(name), sequence, str(owner)) for name in names]


class KeptStore(Protocol):
    """Durable and shared by all replicas. What is kept is remembered with its entry, `answer.kept`."""

    async def owned(self, names: Collection[str], owner: str) -> bool:
        """Whether all of these were given to `owner`, and none of them to anybody else.

        Both are pseudonyms. Raises `Unavailable`.
        """
        ...
