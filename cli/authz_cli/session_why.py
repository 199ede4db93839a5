"""`--before-masking --reason TEXT`: the options of the commands that read sessions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click


def before_masking_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add both; the command gets `why`: the reason, None where what crossed is asked for."""

    @click.option(
        "--before-masking",
        is_flag=True,
        help="Bodies as they came, before masking, where that is kept; for whom review.originals names.",
    )
    @click.option("--reason", help="Why; goes on record before anything is read. With --before-masking.")
    @functools.wraps(function)
    def command(*args: Any, before_masking: bool, reason: str | None, **kwargs: Any) -> Any:
        if before_masking and not (reason or "").strip():
            raise click.UsageError("say with --reason why values before masking are read; it goes on record")
        if reason is not None and not before_masking:
            raise click.UsageError("--reason goes with --before-masking")
        return function(*args, why=reason, **kwargs)

    return command
