"""Makes build/s3/env: moto's server, which speaks S3's API."""

from __future__ import annotations

from pathlib import Path

from tests.own_environment import OwnEnvironment

S3 = OwnEnvironment("s3", "moto (80 MB)", Path(__file__).parent / "requirements.txt")
SERVER = S3.binaries / "moto_server"

if __name__ == "__main__":
    S3.make()
