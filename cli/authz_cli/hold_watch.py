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
from authz_cli.hold_json import hold_object
from authz_cli.hold_options import OPEN, Filters
from authz_cli.hold_text import hold_line, local
from authz_cli.listed import damaged_line
from authz_cli.options import Target
from authz_cli.refusals import AWAY, code_of, failure, status_of

FIRST_PAUSE = 0.5  # seconds before calling again; doubled each time
LONGEST_PAUSE = 15.0


def show_changes(target: Target, filters: Filters, *, count: int | None, as_json: bool) -> None:
    """Print each hold that is open and each change, until Ctrl-C or `count` lines.

    Of whatever state when the filters name those that are open: a change is how something ceases to be so.
    """
    if filters.states == OPEN:
        filters = replace(filters, states=())
    left = count
    with connect(target) as client:
        try:
            for answer in follow(client, pause=time.sleep, tell=lambda text: click.echo(text, err=True)):
                hold, now = answer.hold, local(answer.as_of)
                if not is_chosen(hold, filters):
                    continue
                click.echo(json.dumps(hold_object(hold)) if as_json else hold_line(hold, now=now))
                left = None if left is None else left - 1
                if left == 0:
                    return
        except KeyboardInterrupt:
            return


def follow(
    client: HoldClient, *, pause: Callable[[float], None], tell: Callable[[str], None]
) -> Iterator[holds_pb2.WatchHoldsResponse]:
    """Every message that has a hold. A hold told twice in the same version is told once here.

    A server that is away is called again, after `pause` seconds, from the last cursor; one that refuses
    ends it with `Failure`. The first call must succeed: a wrong address is an error, not patience.
    """
    cursor = ""
    told: dict[str, tuple[int, int]] = {}
    named: set[str] = set()
    has_begun = False
    seconds = FIRST_PAUSE
    while True:
        try:
            for answer in client.watch(cursor):
                has_begun, seconds = True, FIRST_PAUSE
                cursor = answer.cursor or cursor
                for name in set(answer.damaged) - named:
                    named.add(name)
                    tell(damaged_line("hold", name))
                hold = answer.hold
                if answer.HasField("hold") and told.get(hold.id) != (hold.version, hold.state):
                    told[hold.id] = (hold.version, hold.state)
                    yield answer
        except grpc.RpcError as error:
            if not has_begun or not _is_passing(error):
                raise failure(error, client.login) from error
            if code_of(error) != "token_expired":
                tell(f"the server went away; calling again in {seconds:g} s")
        pause(seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE)


def _is_passing(error: grpc.RpcError) -> bool:
    return status_of(error) in (*AWAY, grpc.StatusCode.CANCELLED) or code_of(error) == "token_expired"
