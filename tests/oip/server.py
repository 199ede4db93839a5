"""A real MLServer on a port of its own, with the model `speaker`."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.e2e.stack import free_port
from tests.oip.setup_oip import SERVER
from tests.started_server import StartedServer

MODEL = Path(__file__).parent / "speaker"


@dataclass(slots=True)
class MlServer:
    """`with MlServer(folder) as server:` runs the server until the end of the block."""

    folder: Path
    port: int = 0
    _server: StartedServer | None = None

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
        self._server = StartedServer(
            "MLServer", f"{self.url}/v2/models/llama/ready", self.folder / "mlserver.log"
        )
        self._server.start([str(SERVER), "start", str(models)], without="MLSERVER_", cwd=models)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.end()
