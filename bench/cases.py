"""The cases of this repository; those of others are in `bench.peers`."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.case import Case, Kind
from bench.gateways import direct, floor, on_postgresql, on_sqlite

DIRECT: Final = Case(
    name="direct",
    title="Envoy alone",
    about="`envoy/envoy.yaml` with its filters off, straight to the model.",
    kind=Kind.DIRECT,
    start=direct,
)
FLOOR: Final = Case(
    name="floor",
    title="Envoy, no-op service",
    about="the floor: the same Envoy and a Python service that exchanges the same messages with it and "
    "looks at nothing. Any service of this kind costs this much.",
    kind=Kind.FLOOR,
    start=floor,
)
SQLITE: Final = Case(
    name="sqlite",
    title="this service, SQLite",
    about="`authz serve` with ten rules for requests and one for answers, every detector, an address and a "
    "card masked in each request and each answer, and every step committed before it takes effect.",
    kind=Kind.OURS,
    start=on_sqlite,
    is_masked=True,
)
UNMASKED: Final = Case(
    name="unmasked",
    title="this service, no masks",
    about="the same without masks and rules for answers: what waits in it waits for the record only.",
    kind=Kind.OURS,
    start=partial(on_sqlite, is_masked=False),
)
POSTGRESQL: Final = Case(
    name="postgresql",
    title="this service, PostgreSQL",
    about="the same, with masks, on a PostgreSQL on the same machine.",
    kind=Kind.OURS,
    start=on_postgresql,
    is_masked=True,
)
TWO_WORKERS: Final = Case(
    name="workers-2",
    title="this service, 2 workers",
    about="the same with `--workers 2`, and the process that keeps the record beside them.",
    kind=Kind.OURS,
    start=partial(on_postgresql, workers=2),
    is_masked=True,
)
FOUR_WORKERS: Final = Case(
    name="workers-4",
    title="this service, 4 workers",
    about="the same with `--workers 4`.",
    kind=Kind.OURS,
    start=partial(on_postgresql, workers=4),
    is_masked=True,
)
ON_POSTGRESQL: Final = (POSTGRESQL, TWO_WORKERS, FOUR_WORKERS)
OWN: Final = (DIRECT, FLOOR, SQLITE, UNMASKED, *ON_POSTGRESQL)
