"""grpcio takes a name that it does not know without a word: each that we give is one that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BINARY = Path(str(import_module("grpc._cython.cygrpc").__file__)).read_bytes()


def options() -> Iterator[str]:
    for folder in ("src", "cli"):
        for file in (ROOT / folder).rglob("*.py"):
            yield from re.findall(r'"(grpc\.[a-z][\w.]+)"', file.read_text())


@pytest.mark.parametrize("name", sorted(set(options())))
def test_an_option_of_a_channel_or_server_is_one_that_grpcio_has(name: str) -> None:
    assert name.encode() + b"\0" in BINARY


def test_options_are_found() -> None:
    assert {"grpc.keepalive_time_ms", "grpc.http2.min_ping_interval_without_data_ms"} <= set(options())
