"""Waits for the decision on one hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import click

from authz_api.v1 import holds_pb2
from authz_cli.exits import Exit, Failure
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import hold_object, state_word
from authz_cli.hold_watch import FIRST_PAUSE, LONGEST_PAUSE
from authz_cli.options import Target

EVERY = 1.0  # seconds between two looks; a look at the list alone is no reading of what is held
GOOD = (holds_pb2.HOLD_STATE_APPROVED, holds_pb2.HOLD_STATE_RELEASED)


def wait_for(target: Target, name: str, *, timeout: float | None, as_json: bool) -> None:
    """Print how it was decided; see `authz hold wait --help` for how it ends."""
    with connect(target) as client:
        hold_id = client.hold_id(name)  # a wrong address is an error, no patience
        hold = decided(client, hold_id, timeout=timeout, tell=lambda text: click.echo(text, err=True))
    click.echo(
        json.dumps(hold_object(hold), indent=2) if as_json else f"{hold.id} is {state_word(hold.state)}"
    )
    if hold.state not in GOOD:
        raise SystemExit(int(Exit.REFUSED))


def decided(
    client: HoldClient,
    hold_id: str,
    *,
    timeout: float | None,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> holds_pb2.Hold:
    """The hold once it does not pend any more; raises `Failure` after `timeout` seconds.

    A server that is away, as one that starts again, is asked again, less and less often.
    """
    end = None if timeout is None else clock() + timeout
    away = 0.0  # seconds until it is asked again
    while True:
        try:
            hold = _found(client, hold_id)
        except Failure as failure:
            if failure.exit_code != Exit.AWAY:
                raise
            away = min(away * 2, LONGEST_PAUSE) or FIRST_PAUSE
            tell(f"the server went away; asking again in {away:g} s")
        else:
            away = 0.0
            if hold.state != holds_pb2.HOLD_STATE_PENDING:
                return hold
        left = away or EVERY if end is None else min(away or EVERY, end - clock())
        if left <= 0:
            last = ", as far as is known: the server is away" if away else ""
            raise Failure(f"hold {hold_id} is still pending{last}", Exit.UNDECIDED)
        pause(left)


def _found(client: HoldClient, hold_id: str) -> holds_pb2.Hold:
    request = holds_pb2.ListHoldsRequest(id_prefix=hold_id)
    hold = next((hold for hold, _ in client.holds(request) if hold.id == hold_id), None)
    if hold is None:
        raise Failure(f"there is no hold {hold_id} any more that you may see", Exit.NOT_FOUND)
    return hold
