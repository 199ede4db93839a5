"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def data_dir_option(meaning: str) -> Callable[[Command], Command]:
    """`--data-dir`, AUTHZ_DATA_DIR or ./data; `meaning` says in the help what lies there."""
    return click.option(
        "--data-dir",
        envvar="AUTHZ_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("data"),
        show_default=True,
        help=meaning,
    )


def drain_option(seconds: float) -> Callable[[Command], Command]:
    """`--drain`: how long a stop waits for what is under way."""
    return click.option(
        "--drain",
        type=click.FloatRange(0, 3600),
        metavar="SECONDS",
        default=seconds,
        show_default=True,
        help="How long a stop waits for answers that are under way; then they end with an error.",
    )


config_option = click.option(
    "--config",
    envvar="AUTHZ_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else authz.yaml here or in the data directory.",
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer Envoy; more than one needs a PostgreSQL store.",
)
