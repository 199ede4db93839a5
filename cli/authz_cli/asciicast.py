"""A replay as an asciicast, version 2: a recording that terminals, and browsers, play."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from authz_cli.session_replay import Frame


def asciicast(
    paced: Iterable[tuple[float, Frame]], *, width: int, height: int, title: str, at: datetime | None
) -> Iterator[str]:
    """Its lines. Waits are in seconds, as `paced` gives them."""
    header: dict[str, object] = {"version": 2, "width": width, "height": height, "title": title}
    if at is not None:
        header["timestamp"] = int(at.timestamp())
    yield json.dumps(header)
    now = 0.0
    for wait, frame in paced:
        now += wait
        # A recording has what a terminal gets, which is told to return as well.
        yield json.dumps([round(now, 6), "o", frame.text.replace("\n", "\r\n")])
