"""Keys from a file follow the file, and outlive a broken one for a day."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from authz_service.errors import Unauthenticated, Unavailable
from authz_service.identity.jwks_file import LARGEST_FILE, JwksFile
from authz_service.identity.key_sources import LONGEST_OUTAGE

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider


def found(source: JwksFile, kid: str) -> bool:
    try:
        return asyncio.run(source.find(kid, "RS256")).kid == kid
    except Unauthenticated:
        return False


@pytest.fixture
def path(tmp_path: Path, provider: Provider) -> Path:
    path = tmp_path / "jwks.json"
    path.write_bytes(provider.jwks("rsa"))
    return path


def test_keys_are_read_and_read_again_when_the_file_changes(
    path: Path, provider: Provider, clock: Clock
) -> None:
    source = JwksFile(path, clock=clock)
    key = asyncio.run(source.find("rsa", "RS256"))
    assert source.has(key)
    assert asyncio.run(source.stands_by(key.digest))
    path.write_bytes(provider.jwks("other", "ec"))
    assert not asyncio.run(source.stands_by(key.digest))
    assert found(source, "other")
    assert not found(source, "rsa")
    assert not source.has(key)


def test_a_file_that_was_replaced_with_the_same_size_and_time_is_noticed(
    path: Path, provider: Provider, clock: Clock
) -> None:
    source = JwksFile(path, clock=clock)
    assert found(source, "rsa")
    before = path.stat()
    draft = path.with_name("new")
    draft.write_bytes(provider.jwks("rsa").replace(b'"kid": "rsa"', b'"kid": "ras"'))
    os.utime(draft, ns=(before.st_mtime_ns, before.st_mtime_ns))
    draft.replace(path)
    assert not found(source, "rsa")
    assert found(source, "ras")


@pytest.mark.parametrize("content", [b"", b"{", b"<html>", b'{"keys": 1}', b" " * (LARGEST_FILE + 1), None])
def test_a_broken_file_leaves_the_last_keys_in_force_for_a_day(
    path: Path, provider: Provider, clock: Clock, content: bytes | None
) -> None:
    source = JwksFile(path, clock=clock)
    assert found(source, "rsa")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert found(source, "rsa")
    clock.now += LONGEST_OUTAGE + 1
    with pytest.raises(Unavailable):
        found(source, "rsa")
    path.write_bytes(provider.jwks("rsa"))
    assert found(source, "rsa")


def test_a_set_without_keys_takes_all_keys_away(path: Path, clock: Clock) -> None:
    source = JwksFile(path, clock=clock)
    assert found(source, "rsa")
    path.write_bytes(b'{"keys": []}')
    assert not found(source, "rsa")


def test_a_missing_file_is_unavailable_until_it_is_there(
    tmp_path: Path, provider: Provider, clock: Clock
) -> None:
    source = JwksFile(tmp_path / "jwks.json", clock=clock)
    with pytest.raises(Unavailable):
        asyncio.run(source.warm())
    (tmp_path / "jwks.json").write_bytes(provider.jwks("rsa"))
    asyncio.run(source.warm())
    assert found(source, "rsa")
