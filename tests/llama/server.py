"""A real llama-server on a port of its own, with the model that setup_llama.py wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.e2e.stack import free_port
from tests.llama.setup_llama import MODEL, SERVER
from tests.started_server import StartedServer

SLOTS = 4
"""Answers that it writes at a time."""

API_KEY = "the-key-of-the-model-server"


@dataclass(slots=True)
class LlamaServer:
    """`with LlamaServer(folder) as llama:` runs the server until the end of the block.

    It wants its `API_KEY` with every request but that for its health.
    """

    folder: Path
    port: int = 0
    _server: StartedServer | None = None

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        """A file with its key."""
        return self.folder / "llama.key"

    def __enter__(self) -> Self:
        for needed in (SERVER, MODEL):
            assert needed.exists(), f"{needed} is missing; `make e2e-llama` builds it"
        self.port = free_port()
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(API_KEY)
        command = [
            str(SERVER),
            "--model",
            str(MODEL),
            "--alias",
            "llama",
            "--offline",
            "--api-key-file",
            str(self.key_file),
        ]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--parallel", str(SLOTS), "--threads", "1", "--ctx-size", "8192"]
        log = self.folder / "llama-server.log"
        self._server = StartedServer("llama-server", f"{self.url}/health", log)
        self._server.start(command, without="LLAMA_")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.end()
