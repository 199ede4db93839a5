"""What is to be granted, and which grants: options that commands of `authz grant` share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import click

STATES = ("proposed", "active", "used_up", "expired", "revoked")
OPEN = ("proposed", "active")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody proposes; what is empty is as the hold has it."""

    uses: int
    until: datetime
    group: str
    rules: tuple[str, ...]
    model: str
    tools: tuple[str, ...]
    same_template: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Which grants; empty means any."""

    states: tuple[str, ...]
    hold: str
    caller: str
    group: str
    rule: str
    model: str


def filter_options(function: Callable[..., Result]) -> Callable[..., Result]:
    """Add the filters of a list; the command gets `filters`. Without a state, those that are open."""

    @click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Of these states.")
    @click.option("--all-states", is_flag=True, help="Of any state; without it, proposed and active ones.")
    @click.option("--hold", default="", metavar="ID", help="Made from this hold.")
    @click.option("--caller", default="", metavar="SUBJECT", help="For this caller.")
    @click.option("--group", default="", metavar="GROUP", help="For this group.")
    @click.option("--rule", default="", help="For what this rule holds.")
    @click.option("--model", default="", help="For this model.")
    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Result:
        states, all_states = kwargs.pop("states"), kwargs.pop("all_states")
        if states and all_states:
            raise click.UsageError("say --state or --all-states, not both")
        names = ("hold", "caller", "group", "rule", "model")
        taken = {name: kwargs.pop(name) for name in names}
        kwargs["filters"] = Filters(states=() if all_states else states or OPEN, **taken)
        return function(*args, **kwargs)

    return command
