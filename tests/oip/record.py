"""`python -m tests.oip.record`: writes what MLServer answers into the files of wire traffic."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
from tests.oip.server import MlServer

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"
ASKED: dict[str, Any] = {
    "id": "one",
    "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["Hello", "there"]}],
}
RECORDED = {
    "mlserver_infer.json": "/v2/models/llama/infer",
    "mlserver_stream.sse": "/v2/models/llama/infer_stream",
    "mlserver_error.json": "/v2/models/nobody/infer",
}
"""The files, each with the path that answers it."""


def main() -> None:
    """Run a server of its own, ask it, and write the bodies as they came."""
    with tempfile.TemporaryDirectory() as folder, MlServer(Path(folder)) as server:
        for name, path in RECORDED.items():
            answer = httpx.post(f"{server.url}{path}", json=ASKED)
            (WIRE / name).write_bytes(answer.content)
            print(f"{name}: {answer.status_code}, {len(answer.content)} bytes")


if __name__ == "__main__":
    main()
