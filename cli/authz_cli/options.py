"""Options that commands share: where the review API is, and JSON."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

Params = ParamSpec("Params")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Target:
    """What was said about the server and the person. `token` comes from the environment only: an option
    would be in everybody's process list."""

    server: str | None
    ca: Path | None
    token: str | None
    data_dir: Path
    is_data_dir_named: bool


def target_options(
    function: Callable[Concatenate[Target, Params], Result],
) -> Callable[..., Result]:
    """Add --server, --ca and --data-dir; the command gets them as its first argument."""

    @click.option(
        "--server",
        envvar="AUTHZ_SERVER",
        metavar="ADDRESS",
        help="unix:PATH, or HOST:PORT with TLS. Without it, the server of the data directory.",
    )
    @click.option(
        "--ca",
        envvar="AUTHZ_CA",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="PEM file of the authority that signed the server's certificate.",
    )
    @click.option(
        "--data-dir",
        envvar="AUTHZ_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Of a server on this machine (default: ./data).",
    )
    @functools.wraps(function)
    def command(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        data_dir = kwargs.pop("data_dir")
        target = Target(
            server=_given(kwargs.pop("server")),
            ca=_path(kwargs.pop("ca")),
            token=_token(),
            data_dir=_path(data_dir) or Path("data"),
            is_data_dir_named=data_dir is not None,
        )
        return function(target, *args, **kwargs)

    return command


json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")


def _token() -> str | None:
    import os

    return os.environ.get("AUTHZ_TOKEN", "").strip() or None


def _given(value: object) -> str | None:
    return str(value) if value else None


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None
