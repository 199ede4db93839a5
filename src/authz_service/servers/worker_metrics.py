"""The metrics of all processes of one service, at one address: each sample says whose it is."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

import orjson
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from authz_service.servers.probes import Health

SECONDS = 2.0
LABEL = "process"


class WorkerMetrics(Collector):
    """Asks each process when it is asked. `ports` has the metrics port of each, on this machine."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    def collect(self) -> list[Metric]:
        """Everything that each says, with a label for the process, and whether it answered at all."""
        up = GaugeMetricFamily(
            "authz_process_up", "1 where a process of the service answers.", labels=[LABEL]
        )
        families: dict[str, Metric] = {}
        for name, port in self._ports.items():
            text = _asked(port, "/metrics")
            up.add_metric([name], 0 if text is None else 1)
            for family in text_string_to_metric_families(text or ""):
                _add(families, family, name)
        return [up, *families.values()]


class WorkerProbes:
    """Ready while a worker is, and says which processes are; live while this one is, which starts them."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    def live(self) -> Health:
        """It answers."""
        return Health(True, b'{"live":true}')

    def ready(self) -> Health:
        """Asks each process when it is asked."""
        ready = {name: _asked(port, "/ready") is not None for name, port in self._ports.items()}
        is_ready = any(well for name, well in ready.items() if name.startswith("worker"))
        return Health(is_ready, orjson.dumps({"ready": is_ready, "processes": ready}))


def _add(families: dict[str, Metric], family: Metric, process: str) -> None:
    kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
    for sample in family.samples:
        kept.samples.append(sample._replace(labels={**sample.labels, LABEL: process}))


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
