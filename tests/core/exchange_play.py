"""What tests of the exchange share: events that are played, and what its commands say."""

from __future__ import annotations

from collections.abc import Callable

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Command,
    OpenHold,
    Record,
    RecordLater,
    Reply,
)
from authz_service.core.events import (
    AnswerStarted,
    BodyRead,
    Event,
    HoldAnswered,
    RequestJudged,
)
from authz_service.core.exchange import Exchange
from authz_service.core.openings import Opened
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldDraft
from authz_service.errors import Unavailable
from authz_service.policy.decision import Effect

NOW = 1_800_000_000.0


Judged = Callable[..., RequestJudged]


HoldIn = Callable[..., Hold]


AWAY = Unavailable("The store is away.")


def names(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def kinds(command: Command) -> list[Kind]:
    assert isinstance(command, Record | RecordLater)
    return [draft.kind for draft in command.drafts]


def reply_of(commands: list[Command]) -> Reply:
    (reply,) = [command for command in commands if isinstance(command, Reply)]
    return reply


def play(request: Request, *events: Event) -> tuple[Exchange, list[Command]]:
    """The exchange after `events`, and the commands that the last one led to."""
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return exchange, commands


ANSWER = AnswerStarted(200, {"content-type": "application/json"}, is_last=False)


def held(judged: Judged, hold: Hold) -> list[Event]:
    return [BodyRead(b"body"), judged(Effect.HOLD), HoldAnswered(Opened(hold))]


def opened(commands: list[Command]) -> HoldDraft:
    (command,) = commands
    assert isinstance(command, OpenHold)
    return command.draft
