"""What tests of limits share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.commands import (
    Command,
    Record,
    RecordLater,
)
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerRead,
    AnswerStarted,
    Event,
    RequestJudged,
)
from authz_service.core.exchange import Exchange
from authz_service.core.limits import (
    Admitted,
    Allowance,
    CountedBy,
    Limit,
    LimitReached,
    Rates,
)
from authz_service.core.request import Request
from authz_service.inspection.results import AnswerStep
from authz_service.view.answer import Usage

NOW = 1_800_000_000.0


ADMITTED = AdmissionAnswered(Admitted(NOW, Allowance(1, 0, 60.0)))


REACHED = LimitReached("requests_per_minute", CountedBy.CALLER, 1, NOW, 41.2)


STREAM = AnswerStarted(200, {"content-type": "text/event-stream"}, is_last=False)


Judged = Callable[..., RequestJudged]


def commands_of(request: Request, *events: Event) -> list[Command]:
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return commands


def drafts_of(commands: Sequence[Command]) -> dict[Kind, EntryDraft]:
    recorded = [c for c in commands if isinstance(c, Record | RecordLater)]
    return {draft.kind: draft for command in recorded for draft in command.drafts}


def piece(body: bytes, usage: Usage | None = None, *, is_last: bool = False) -> AnswerRead:
    return AnswerRead(AnswerStep(body, {}, {}, usage=usage, is_last=is_last))


def limit(by: CountedBy, *only: str, **rates: int) -> Limit:
    return Limit(by, Rates(**rates), frozenset(only))
