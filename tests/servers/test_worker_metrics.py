"""The processes of a service are asked together: what one waits for, all may be waiting for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from authz_service.servers import worker_metrics
from authz_service.servers.process_start import STARTED_AT
from authz_service.servers.worker_metrics import WorkerMetrics, WorkerProbes

SECONDS = 20.0
"""Less than one process may take; each of these answers once all have been asked."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are in this process, which may stand still for longer than one of them may take."""
    assert worker_metrics.SECONDS < 10.0, "how long Prometheus waits"
    monkeypatch.setattr(worker_metrics, "SECONDS", 2 * SECONDS)


@contextmanager
def processes(*names: str, page: bytes = b"authz_exchanges_live 3\n") -> Iterator[dict[str, int]]:
    """The ports of processes that answer with `page` when each of them was asked."""
    together = threading.Barrier(len(names))

    class Process(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            together.wait(SECONDS)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ExitStack() as stack:
        ports = {}
        for name in names:
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Process))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            ports[name] = server.server_port
        yield ports


def test_each_is_asked_before_the_first_has_answered() -> None:
    with processes("keeper", "worker 0", "worker 1") as ports:
        up, ends, _, live = WorkerMetrics(ports, {"worker 1": 4}).collect()
        assert {s.labels["process"]: s.value for s in up.samples} == dict.fromkeys(ports, 1)
        assert {s.labels["process"]: s.value for s in ends.samples} == {
            **dict.fromkeys(ports, 0),
            "worker 1": 4,
        }
        assert {s.name for s in ends.samples} == {"authz_process_ends_total"}
        assert {s.labels["process"]: s.value for s in live.samples} == dict.fromkeys(ports, 3)
        ready = WorkerProbes(ports).ready()
    assert ready.is_well
    assert json.loads(ready.said)["processes"] == dict.fromkeys(ports, True)


def test_a_process_that_is_not_there_is_away_and_the_others_are_shown() -> None:
    with processes("worker 0") as ports:
        up, _, _, live = WorkerMetrics({**ports, "worker 1": 9}, {}).collect()
    assert {s.labels["process"]: s.value for s in up.samples} == {"worker 0": 1, "worker 1": 0}
    assert [s.labels["process"] for s in live.samples] == ["worker 0"]


def test_when_the_first_process_began_stands_beside_when_the_others_did() -> None:
    """What a lone service says without a label is, with workers, said of who starts them."""
    with processes(
        "worker 0",
        page=b"# TYPE authz_process_start_time_seconds gauge\nauthz_process_start_time_seconds 12\n",
    ) as ports:
        *_, began = WorkerMetrics(ports, {}).collect()
    assert began.name == "authz_process_start_time_seconds"
    assert {s.labels.get("process", ""): s.value for s in began.samples} == {"": STARTED_AT, "worker 0": 12}
