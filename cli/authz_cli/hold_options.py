"""Which holds, and what is to be decided on them: options that commands of `authz hold` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click

STATES = ("pending", "approved", "released", "rejected", "expired", "superseded", "killed")
OPEN = ("pending", "approved")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which holds; empty means any. `is_mine` are those in which one's vote is asked for now."""

    states: tuple[str, ...] = ()
    caller: str = ""
    model: str = ""
    rule: str = ""
    is_mine: bool = False
    to_review: bool = False
    is_due_soon: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the reviewer wants. `digest` is the one they name; `is_sure` asks no question."""

    verdict: Literal["approve", "reject"]
    reason: str
    digest: str | None
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a decision is about, beside the holds that it names."""

    is_all: bool
    filters: Filters
    digest: str | None
    break_glass: bool


def filter_options(function: Callable[..., Result]) -> Callable[..., Result]:
    """Add the filters of a list; the command gets `filters`. Without a state, those that are open."""

    @click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Of these states.")
    @click.option("--all-states", is_flag=True, help="Of any state; without it, those that are open.")
    @click.option("--mine", "is_mine", is_flag=True, help="That ask for your vote now.")
    @click.option("--due-soon", "is_due_soon", is_flag=True, help="Whose reminder is due.")
    @click.option(
        "--to-review", is_flag=True, help="That somebody decided alone, of any state, to be reviewed."
    )
    @_of_whom
    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Result:
        states, all_states = kwargs.pop("states"), kwargs.pop("all_states")
        to_review = kwargs.pop("to_review")
        if states and all_states:
            raise click.UsageError("say --state or --all-states, not both")
        kwargs["filters"] = Filters(
            states=() if all_states else states or (() if to_review else OPEN),
            is_mine=kwargs.pop("is_mine"),
            is_due_soon=kwargs.pop("is_due_soon"),
            to_review=to_review,
            **_taken(kwargs),
        )
        return function(*args, **kwargs)

    return command


def decision_options(function: Callable[..., Result]) -> Callable[..., Result]:
    """Add --all with its filters, --digest and --break-glass; the command gets `chosen`."""

    @click.option(
        "--all", "is_all", is_flag=True, help="All that ask for your vote now, or those of the filters."
    )
    @_of_whom
    @click.option("--digest", metavar="SHA256", help="Refuse if the bytes are not these.")
    @click.option(
        "--break-glass",
        is_flag=True,
        help="Decide alone, whatever the stages ask for; it has to be reviewed afterwards.",
    )
    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Result:
        is_all, taken = kwargs.pop("is_all"), _taken(kwargs)
        if any(taken.values()) and not is_all:
            raise click.UsageError("--caller, --model and --rule choose among --all")
        filters = Filters(("pending",), taken["caller"], taken["model"], taken["rule"], is_mine=True)
        kwargs["chosen"] = Chosen(is_all, filters, kwargs.pop("digest"), kwargs.pop("break_glass"))
        return function(*args, **kwargs)

    return command


def _of_whom(function: Callable[..., Result]) -> Callable[..., Result]:
    options = (
        click.option("--caller", default="", metavar="SUBJECT", help="Of this caller."),
        click.option("--model", default="", help="For this model."),
        click.option("--rule", default="", help="Held by this rule."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _taken(kwargs: dict[str, Any]) -> dict[str, str]:
    return {name: kwargs.pop(name) for name in ("caller", "model", "rule")}
