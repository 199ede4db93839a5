"""A real llama-server on a port of its own, with the model that setup_llama.py wrote."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
from tests.e2e.stack import free_port
from tests.llama.setup_llama import MODEL, SERVER

START_SECONDS = 60.0
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
    _process: subprocess.Popen[bytes] | None = None

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
        env = {key: value for key, value in os.environ.items() if not key.startswith("LLAMA_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )
        self._wait_until_healthy(self._process)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "llama-server.log"

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"llama-server did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.05)

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
