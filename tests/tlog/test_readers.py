"""Programs that are not ours read an export as a log of tlog-tiles, and find what was changed in it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.commands.exported import FILLED, draft, flipped, record, run, signed
from tests.tlog.setup_tlog import READERS

from authz_service.keys.data_dir import DataDir
from authz_service.keys.log_key import LogKey
from authz_service.store.open import open_store

LAST = 3 * 256 + 100
"""The larger export ends in a tile that is not full, as the smaller one does, and has more full ones."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder's files on loopback, as any server of static files has them."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Sequence[str]:
    return READERS[request.param]


def read(reader: Sequence[str], url: str, key: Path, *older: Path) -> subprocess.CompletedProcess[str]:
    command = [*reader, url, key.read_text().strip(), *map(str, older)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LogKey]:
    """Two exports of one record: `before`, and `out` when there was more."""
    folder = tmp_path_factory.mktemp("tlog")
    key = record(folder)
    assert run(folder, "export", str(folder / "before"), "--no-payloads").exit_code == 0

    async def more() -> None:
        url = f"sqlite:///{DataDir(folder / 'data').database}"
        store = await open_store(url, instance="one", pseudonym=str, signer=key)
        try:
            await store.append(*(draft(number) for number in range(FILLED, LAST - 1)))
        finally:
            await store.close()

    asyncio.run(more())
    assert run(folder, "export", str(folder / "out")).exit_code == 0
    return folder, key


@pytest.fixture
def out(grown: tuple[Path, LogKey], tmp_path: Path) -> Path:
    """A copy of the larger export, to be changed."""
    shutil.copytree(grown[0] / "out", tmp_path / "out")
    return tmp_path / "out"


def test_each_entry_and_what_was_signed_before_are_proved(
    reader: Sequence[str], grown: tuple[Path, LogKey], out: Path
) -> None:
    with served(out) as url:
        done = read(reader, url, out / "log.vkey", grown[0] / "before" / "checkpoint")
    said = f"{LAST} entries are included, 1 checkpoints are consistent\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def change(name: str, place: int) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        (out / name).write_bytes(flipped((out / name).read_bytes(), place))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda out: (out / name).unlink()


@pytest.mark.parametrize(
    "damage",
    [
        change("tile/0/001", 77),
        change(f"tile/0/003.p/{LAST - 768}", 0),
        change("tile/1/000.p/3", 40),
        change("tile/entries/002", 300),
        change("checkpoint", 18),
        remove("tile/entries/001"),
        remove("tile/1/000.p/3"),
    ],
    ids=["tile", "last tile", "tile above", "entry", "checkpoint", "no entries", "no tile above"],
)
def test_what_was_changed_or_taken_away_is_found(
    reader: Sequence[str], out: Path, damage: Callable[[Path], None]
) -> None:
    damage(out)
    with served(out) as url:
        done = read(reader, url, out / "log.vkey")
    assert (done.returncode, done.stdout) == (1, "")


def test_another_key_is_not_believed(reader: Sequence[str], out: Path) -> None:
    (out / "log.vkey").write_text(f"{LogKey.create('example.com/log').vkey}\n")
    with served(out) as url:
        done = read(reader, url, out / "log.vkey")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_signed_checkpoint_of_another_history_is_not_consistent(
    reader: Sequence[str], grown: tuple[Path, LogKey], out: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text(signed(grown[1], 256, bytes(32)))
    with served(out) as url:
        done = read(reader, url, out / "log.vkey", other)
    assert (done.returncode, done.stdout) == (1, "")
