"""The metrics of all processes of one service, at one address: each sample says whose it is."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from authz_service.servers.probes import Health
from authz_service.servers.process_start import process_start

SECONDS = 4.0
"""More than a page of metrics takes whose store does not answer; less than the 10 s of Prometheus."""
LABEL = "process"


class WorkerMetrics(Collector):
    """Asks each process when it is asked. `ports` has the metrics port of each, on this machine.

    `ends` has how often each ended by itself; one that never did may be missing.
    """

    def __init__(self, ports: Mapping[str, int], ends: Mapping[str, int]) -> None:
        self._ports = ports
        self._ends = ends

    def collect(self) -> list[Metric]:
        """Everything that each says, with a label for the process, and whether it answered at all.

        When this process began, which starts them, stands beside theirs without a label.
        """
        up = GaugeMetricFamily(
            "authz_process_up", "1 where a process of the service answers.", labels=[LABEL]
        )
        ended = CounterMetricFamily(
            "authz_process_ends", "How often a process ended by itself and was started again.", labels=[LABEL]
        )
        began = process_start()
        families: dict[str, Metric] = {began.name: began}
        for name, text in _asked_of_all(self._ports, "/metrics").items():
            ended.add_metric([name], self._ends.get(name, 0))
            up.add_metric([name], 0 if text is None else 1)
            for family in text_string_to_metric_families(text or ""):
                _add(families, family, name)
        return [up, ended, *families.values()]


class WorkerProbes:
    """Ready while a worker is, and says which processes are; live while this one is, which starts them."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    def live(self) -> Health:
        """It answers."""
        return Health(True, b'{"live":true}')

    def ready(self) -> Health:
        """Asks each process when it is asked."""
        ready = {name: said is not None for name, said in _asked_of_all(self._ports, "/ready").items()}
        is_ready = any(well for name, well in ready.items() if name.startswith("worker"))
        return Health(is_ready, orjson.dumps({"ready": is_ready, "processes": ready}))


def _add(families: dict[str, Metric], family: Metric, process: str) -> None:
    kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
    for sample in family.samples:
        kept.samples.append(sample._replace(labels={**sample.labels, LABEL: process}))


def _asked_of_all(ports: Mapping[str, int], path: str) -> dict[str, str | None]:
    """At the same time: they may all be waiting for the same store."""
    with ThreadPoolExecutor(max(1, len(ports))) as threads:
        return dict(zip(ports, threads.map(lambda port: _asked(port, path), ports.values()), strict=True))


def _asked(port: int, path: str) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
