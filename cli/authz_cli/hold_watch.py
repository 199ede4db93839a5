"""Follows holds through breaks: a server that went away, a token that expired."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import click
import grpc

from authz_api.v1 import holds_pb2
from authz_cli.hold_actions import is_chosen
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import hold_object, state_word
from authz_cli.hold_options import OPEN, Filters
from authz_cli.hold_text import hold_line, local
from authz_cli.listed import damaged_line
from authz_cli.options import Target
from authz_cli.refusals import AWAY, code_of, failure, status_of
from authz_cli.safe_text import safe_line

FIRST_PAUSE = 0.5  # seconds before calling again; doubled each time
LONGEST_PAUSE = 15.0
MOST_KNOWN = 10_000  # as the server takes


def show_changes(target: Target, filters: Filters, *, count: int | None, as_json: bool) -> None:
    """Print each hold that is open and each change, until Ctrl-C or `count` lines.

    Of whatever state when the filters name those that are open: a change is how something ceases to be so.
    """
    if filters.states == OPEN:
        filters = replace(filters, states=())
    left, shown = count, set[str]()
    with connect(target) as client:
        try:
            for answer in follow(client, pause=time.sleep, tell=lambda text: click.echo(text, err=True)):
                line = _line(answer, filters, shown, as_json=as_json)
                if not line:
                    continue
                click.echo(line)
                left = None if left is None else left - 1
                if left == 0:
                    return
        except KeyboardInterrupt:
            return


def _line(answer: holds_pb2.WatchHoldsResponse, filters: Filters, shown: set[str], *, as_json: bool) -> str:
    """What is printed of one message; "" for nothing. `shown` are the holds of which something was."""
    gone = answer.no_longer_yours
    if gone:
        told = {"id": gone, "state": None, "no_longer_yours": True}
        line = json.dumps(told) if as_json else safe_line(f"{gone}  no longer yours")
        return line if gone in shown else ""
    hold = answer.hold
    if not is_chosen(hold, filters):
        return ""
    shown.add(hold.id)
    return json.dumps(hold_object(hold)) if as_json else hold_line(hold, now=local(answer.as_of))


def follow(
    client: HoldClient, *, pause: Callable[[float], None], tell: Callable[[str], None]
) -> Iterator[holds_pb2.WatchHoldsResponse]:
    """Every message that has a hold, or one that is gone. A hold told twice in the same version is told once.

    A server that is away is called again, after `pause` seconds, from the last cursor; one that refuses
    ends it with `Failure`. The first call must succeed: a wrong address is an error, not patience.
    """
    cursor = ""
    told: dict[str, tuple[int, int]] = {}
    live: set[str] = set()  # what may cease to be theirs
    named: set[str] = set()
    has_begun = False
    seconds = FIRST_PAUSE
    while True:
        try:
            for answer in client.watch(cursor, sorted(live)[-MOST_KNOWN:]):
                has_begun, seconds = True, FIRST_PAUSE
                cursor = answer.cursor or cursor
                for name in set(answer.damaged) - named:
                    named.add(name)
                    tell(damaged_line("hold", name))
                hold, gone = answer.hold, answer.no_longer_yours
                if gone and told.pop(gone, None) is not None:
                    live.discard(gone)
                    yield answer
                if answer.HasField("hold") and told.get(hold.id) != (hold.version, hold.state):
                    told[hold.id] = (hold.version, hold.state)
                    (live.add if _may_change(hold) else live.discard)(hold.id)
                    yield answer
        except grpc.RpcError as error:
            if not has_begun or not _is_passing(error):
                raise failure(error, client.login) from error
            if code_of(error) != "token_expired":
                tell(f"the server went away; calling again in {seconds:g} s")
        pause(seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE)


def _may_change(hold: holds_pb2.Hold) -> bool:
    return state_word(hold.state) in OPEN or hold.review == holds_pb2.REVIEW_STATE_DUE


def _is_passing(error: grpc.RpcError) -> bool:
    return status_of(error) in (*AWAY, grpc.StatusCode.CANCELLED) or code_of(error) == "token_expired"
