"""An export of a filled record, and how it is verified, for the tests of exports."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz_cli.main import cli
from authz_service.audit.checkpoint import Checkpoint
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import LARGEST_ENTRY
from authz_service.config.starter import starter_text
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.keys.log_key import LogKey
from authz_service.store.open import open_store

FILLED = 600


COUNT = FILLED + 1  # three bundles, the last of them a part, with the entry of the export itself


def record(folder: Path, count: int = FILLED) -> LogKey:
    """A data directory with a signed record in it."""
    data = DataDir.open(folder / "data")
    key = LogKey.load_or_create(data.log_key, "example.com/log")
    load_or_create(data.pseudonym_key, lambda: bytes(32))
    (data.root / "authz.yaml").write_text(starter_text(model_url="http://127.0.0.1:9"))

    async def fill() -> None:
        store = await open_store(f"sqlite:///{data.database}", instance="one", pseudonym=str, signer=key)
        try:
            await store.append(*(draft(number) for number in range(count // 2)))
            await store.append(*(draft(number) for number in range(count // 2, count)))
        finally:
            await store.close()

    asyncio.run(fill())
    return key


def draft(number: int) -> EntryDraft:
    if number == 300:
        return EntryDraft(Kind.SERVICE_STOPPED, data={"note": "x" * (LARGEST_ENTRY - 140)})
    payloads = {"body": f"payload {number}".encode() * 50} if number % 5 == 0 else {}
    return EntryDraft(Kind.SESSION_READ, f"s{number}", {"number": number}, payloads)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LogKey]:
    folder = tmp_path_factory.mktemp("export")
    key = record(folder)
    assert run(folder, "export", str(folder / "out")).exit_code == 0
    return folder, key


@pytest.fixture
def out(made: tuple[Path, LogKey], tmp_path: Path) -> Path:
    """A copy of the export, to be changed."""
    shutil.copytree(made[0] / "out", tmp_path / "out")
    return tmp_path / "out"


def run(folder: Path, verb: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", verb, *arguments, "--data-dir", str(folder / "data")])


def alone(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier as an auditor runs it: no packages, no environment, nothing of ours."""
    command = [sys.executable, "-I", "-S", str(out / "verify.py"), "--json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={}, check=False)


def tile(out: Path, level: int, number: int, size: int) -> list[bytes]:
    """The hashes of a tile, as c2sp.org/tlog-tiles names it; here no number has more than three digits."""
    width = min(256, (size >> 8 * level) - 256 * number)
    name = f"tile/{level}/{number:03}" + ("" if width == 256 else f".p/{width}")
    content = (out / name).read_bytes()
    assert len(content) == 32 * width
    return [content[place : place + 32] for place in range(0, len(content), 32)]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def signed(key: LogKey, size: int, root: bytes) -> str:
    from authz_service.audit.checkpoint import note, sign_head

    checkpoint = Checkpoint(key.vkey.name, size, root)
    return note(checkpoint, key.vkey.name, sign_head(checkpoint, key))
