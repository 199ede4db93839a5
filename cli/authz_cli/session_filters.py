"""What sessions are chosen by, as options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from authz_cli.when import When

if TYPE_CHECKING:
    from authz_api.v1 import sessions_pb2

Function = TypeVar("Function", bound=Callable[..., Any])

DECISIONS = ("allow", "hold", "deny")


@dataclass(frozen=True, slots=True)
class Filters:
    """Each that is not empty must hold."""

    caller: str = ""
    group: str = ""
    model: str = ""
    decision: str = ""
    status: str = ""
    rule: str = ""
    entity: str = ""
    reviewer: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def request(self) -> sessions_pb2.ListSessionsRequest:
        """As the server is asked."""
        from authz_api.v1 import sessions_pb2

        request = sessions_pb2.ListSessionsRequest(
            caller=self.caller,
            group=self.group,
            model=self.model,
            decision=self.decision,
            status=self.status,
            rule=self.rule,
            entity=self.entity,
            reviewer=self.reviewer,
            text=self.text,
        )
        if self.since is not None:
            request.since.FromDatetime(self.since)
        if self.until is not None:
            request.until.FromDatetime(self.until)
        return request


_OPTIONS = (
    click.option("--caller", default="", metavar="SUBJECT", help="Of this caller."),
    click.option("--group", default="", help="Of callers in this group."),
    click.option("--model", default="", help="For this model."),
    click.option("--rule", default="", help="Decided by this rule."),
    click.option("--decision", default="", type=click.Choice(("", *DECISIONS)), metavar="|".join(DECISIONS)),
    click.option("--status", default="", help="With this status: open, held, released, refused, ..."),
    click.option("--entity", default="", metavar="TYPE", help="In which such a value was found, or masked."),
    click.option("--reviewer", default="", metavar="NAME", help="On whose hold this person voted."),
    click.option("--since", type=When(), metavar="WHEN", help="Begun then or later: 2026-11-21T14:00, 3h."),
    click.option("--until", type=When(), metavar="WHEN", help="Begun before then."),
    click.option("--text", default="", metavar="WORDS", help='With all these words, or "phrases in quotes".'),
)


def filter_options(function: Function) -> Callable[..., Any]:
    """Add the options; the command gets them as `filters`."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        names = Filters.__slots__
        return function(*args, filters=Filters(**{name: kwargs.pop(name) for name in names}), **kwargs)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command
