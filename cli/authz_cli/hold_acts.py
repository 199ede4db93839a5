"""What reviewers do to a hold beside voting."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal, assert_never

import click

from authz_api.v1 import holds_pb2
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import hold_object, state_word
from authz_cli.hold_text import local
from authz_cli.moments import moment
from authz_cli.options import Target

Verb = Literal["claim", "release", "comment", "withdraw", "review"]
Answer = (
    holds_pb2.ClaimHoldResponse
    | holds_pb2.ReleaseClaimResponse
    | holds_pb2.CommentHoldResponse
    | holds_pb2.WithdrawVoteResponse
    | holds_pb2.ReviewHoldResponse
)


def act(target: Target, name: str, verb: Verb, text: str = "", *, as_json: bool) -> None:
    """Do it, and say how the hold stands."""
    if verb in ("comment", "review") and not text.strip():
        raise click.UsageError(f"a {verb} needs words")
    with connect(target) as client:
        answer = _done(client, client.hold_id(name), verb, text)
    if as_json:
        click.echo(json.dumps(hold_object(answer.hold), indent=2))
    else:
        click.echo(_told(answer.hold, verb, now=local(answer.as_of)))


def _done(client: HoldClient, hold: str, verb: Verb, text: str) -> Answer:
    match verb:
        case "claim":
            return client.claim(hold)
        case "release":
            return client.release_claim(hold)
        case "comment":
            return client.comment(hold, text=text)
        case "withdraw":
            return client.withdraw(hold, reason=text)
        case "review":
            return client.review(hold, reason=text)
        case _ as never:
            assert_never(never)


def _told(hold: holds_pb2.Hold, verb: Verb, *, now: datetime) -> str:
    match verb:
        case "claim":
            return f"{hold.id} is claimed by you until {moment(local(hold.claim.until), now=now)}"
        case "release":
            return f"{hold.id} is claimed by nobody"
        case "comment":
            return f"your comment on {hold.id} is on record"
        case "withdraw":
            return f"your vote on {hold.id} is taken back; it is {state_word(hold.state)}"
        case "review":
            return f"{hold.id} is reviewed"
        case _ as never:
            assert_never(never)
