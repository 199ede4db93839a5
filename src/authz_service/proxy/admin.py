"""Envoy's administration interface, on its Unix socket: what `authz up` asks of it when it stops."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

SECONDS = 2.0
_OWN = "http.admin."


def stop_accepting(admin: Path) -> bool:
    """Have Envoy close its listeners, and each connection behind the answer that is under way on it.

    False where nobody can be asked. What is under way goes on.
    """
    # By the first every answer from now on says `connection: close` (HTTP/2: GOAWAY).
    return _asked(admin, "POST", "/healthcheck/fail") is not None and (
        _asked(admin, "POST", "/drain_listeners") is not None
    )


def under_way(admin: Path) -> int:
    """How many requests Envoy has in hand; 0 where nobody can be asked."""
    said = _asked(admin, "GET", "/stats?format=json&filter=downstream_rq_active$")
    stats = [] if said is None else json.loads(said)["stats"]
    found = (stat for stat in stats if str(stat.get("name", "")).startswith("http."))
    return sum(int(stat["value"]) for stat in found if not stat["name"].startswith(_OWN))


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


def _asked(admin: Path, method: str, target: str) -> bytes | None:
    connection = _Connection(admin)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        said = answer.read()
        return said if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
