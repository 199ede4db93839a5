"""How far a command is, for whoever waits for it at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click


def progress(word: str) -> Callable[[int, int], None]:
    """How far it is, on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        return lambda done, size: None

    def say(done: int, size: int) -> None:
        click.echo(f"\r{word} {done} of {size} entries", nl=done == size, err=True)

    return say
