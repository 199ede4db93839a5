"""Follows the record through breaks: each entry once, in order, as a line or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import click
import grpc

from authz_api.v1 import sessions_pb2
from authz_cli import terminal
from authz_cli.hold_text import local
from authz_cli.options import Target
from authz_cli.refusals import AWAY, code_of, failure, status_of
from authz_cli.safe_text import safe_line
from authz_cli.session_client import SessionClient, connect
from authz_cli.session_json import entry_object
from authz_cli.session_text import entry_lines

FIRST_PAUSE = 0.5  # seconds before calling again; doubled each time
LONGEST_PAUSE = 15.0


def show_tail(target: Target, session: str, *, limit: int | None, as_json: bool) -> None:
    """Print each entry until Ctrl-C or `limit` of them."""
    with connect(target) as client:
        entries = follow(client, session, pause=time.sleep, tell=lambda text: click.echo(text, err=True))
        try:
            for number, entry in enumerate(entries, 1):
                _print(entry, as_json=as_json)
                if number == limit:
                    return
        except KeyboardInterrupt:
            return


def follow(
    client: SessionClient, session: str, *, pause: Callable[[float], None], tell: Callable[[str], None]
) -> Iterator[sessions_pb2.Entry]:
    """Every entry from now on. A server that is away is called again from the last cursor.

    The first call must succeed: a wrong address is an error, not patience.
    """
    cursor, seconds, last = "", FIRST_PAUSE, 0
    while True:
        try:
            for answer in client.tail(cursor, session):
                cursor, seconds = answer.cursor or cursor, FIRST_PAUSE
                for entry in answer.entries:
                    if entry.sequence > last:
                        last = entry.sequence
                        yield entry
        except grpc.RpcError as error:
            if not cursor or not _is_passing(error):
                raise failure(error, client.login) from error
            if code_of(error) != "token_expired":
                tell(f"the server went away; calling again in {seconds:g} s")
        pause(seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE)


def _print(entry: sessions_pb2.Entry, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"session": entry.session or None} | entry_object(entry)))
        return
    at = local(entry.at).astimezone()
    click.echo(safe_line(f"{at:%Y-%m-%d} {entry.session or '-'}"))
    for line in entry_lines(entry, terminal.width()):
        click.echo(line)


def _is_passing(error: grpc.RpcError) -> bool:
    return status_of(error) in (*AWAY, grpc.StatusCode.CANCELLED) or code_of(error) == "token_expired"
