"""A real MLServer on a port of its own, with the model `speaker`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
from tests.e2e.stack import free_port
from tests.oip.setup_oip import SERVER

START_SECONDS = 60.0
MODEL = Path(__file__).parent / "speaker"


@dataclass(slots=True)
class MlServer:
    """`with MlServer(folder) as server:` runs the server until the end of the block."""

    folder: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        assert SERVER.exists(), f"{SERVER} is missing; `make e2e-oip` installs it"
        self.port = free_port()
        models = self.folder / "speaker"
        shutil.copytree(MODEL, models, ignore=shutil.ignore_patterns("__pycache__"))
        settings = {"host": "127.0.0.1", "http_port": self.port, "grpc_port": free_port()}
        settings |= {"metrics_endpoint": None, "parallel_workers": 0, "debug": False, "gzip_enabled": False}
        (models / "settings.json").write_text(json.dumps(settings))
        env = {key: value for key, value in os.environ.items() if not key.startswith("MLSERVER_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(SERVER), "start", str(models)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=models,
            )
        self._wait_until_ready(self._process)
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
        return self.folder / "mlserver.log"

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise AssertionError(f"MLServer did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v2/models/llama/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False
