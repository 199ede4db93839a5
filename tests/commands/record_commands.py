"""What commands on the record say, and a service that is stopped."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from authz_cli.main import cli
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.starter import starter_text
from authz_service.core.entries import caller_payload
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.runtime.record import open_record
from authz_service.view.caller import Caller

KEY = b"k" * 32


class Stopped:
    """The data directory of a service that has recorded one exchange of each of two people."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDir.open(folder / "data")
        self.config = self.data.root / "authz.yaml"
        self.config.write_text(starter_text(model_url="http://127.0.0.1:9"))
        self.pseudonym = Pseudonyms(load_or_create(self.data.pseudonym_key, lambda: KEY)).of
        asyncio.run(self._work([d for name in ("alice", "bob") for d in self._asked(name)]))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--data-dir", str(self.data.root)])

    def read(self, session: str) -> Any:
        return asyncio.run(self._read(session))

    def _asked(self, name: str) -> list[EntryDraft]:
        caller = Caller("https://issuer.example", name, 0.0)
        pseudonym, session = self.pseudonym(caller.identity), f"ses_{name}"
        asked = {"api": "openai", "caller": pseudonym, "method": "POST", "path": "/v1/chat/completions"}
        received = EntryDraft(Kind.REQUEST_RECEIVED, session, {**asked}, {"caller": caller_payload(caller)})
        released = EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": b"a prompt"})
        ended = EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": "completed"})
        return [replace(draft, subject=pseudonym) for draft in (received, released, ended)]

    async def _work(self, drafts: list[EntryDraft]) -> None:
        config = load_config(self.config).config
        record = await open_record(config, self.data, instance="i", pseudonym=self.pseudonym)
        await record.store.append(*record.first, *drafts)
        record.begun()
        await record.checkpoints.take()
        await record.store.close()

    async def _read(self, session: str) -> Any:
        config = load_config(self.config).config
        record = await open_record(config, self.data, instance="i", pseudonym=self.pseudonym)
        try:
            return await record.store.entries(session)
        finally:
            await record.store.close()


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def verify(out: Path) -> subprocess.CompletedProcess[str]:
    """By the verifier that goes with the export, alone."""
    command = [sys.executable, "-I", str(out / "verify.py"), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
