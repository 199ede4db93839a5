"""Makes build/oip/env: MLServer, a server of the Open Inference Protocol."""

from __future__ import annotations

from pathlib import Path

from tests.own_environment import OwnEnvironment

OIP = OwnEnvironment("oip", "MLServer (230 MB)", Path(__file__).parent / "requirements.txt")
SERVER = OIP.binaries / "mlserver"

if __name__ == "__main__":
    OIP.make()
