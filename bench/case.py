"""A case: what stands between the load and the model, and how it is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Site:
    """Where a case is started: a folder of its own, and the model server's port and process id."""

    folder: Path
    model_port: int
    model_pid: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running case: where it listens, a token that it takes, and its programs' process ids by name.

    The names are `envoy`, `service` (what decides and masks), `database` and `model`. What a program has
    started counts with it. `parts` are those of the service's processes, where it has several: `keeper`,
    `worker 0`.
    """

    port: int
    token: str
    pids: Mapping[str, int]
    parts: Mapping[str, int] = field(default_factory=dict)
    store: str = ""
    """The URL of its database, where that is a PostgreSQL."""


Start = Callable[[Site], AbstractContextManager[Gateway]]


class Kind(Enum):
    """What a case is measured for."""

    DIRECT = "direct"
    """Envoy alone: what is added is added to this."""

    FLOOR = "floor"
    """The least that an architecture like ours costs in Python."""

    OURS = "ours"
    PEER = "peer"
    """Somebody else's: a run goes on without it where it cannot be installed or fails."""


@dataclass(frozen=True, slots=True)
class Case:
    """`name` is for the command line, `title` for tables, `about` a clause for the page.

    With `is_masked` neither the address nor the card of the traffic may cross, in either direction.
    """

    name: str
    title: str
    about: str
    kind: Kind
    start: Start = field(compare=False, repr=False)
    is_masked: bool = False
