"""A page of metrics with all collectors of one process, and something in each."""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from authz_service.errors import Unavailable
from authz_service.runtime.gateway import Took
from authz_service.servers.certificate_dates import CertificateMetrics, Shown
from authz_service.servers.checkpoint_metrics import CheckpointMetrics
from authz_service.servers.hold_metrics import HoldMetrics
from authz_service.servers.limit_metrics import LimitMetrics
from authz_service.servers.metrics import ExchangeMetrics, PolicyMetrics, RecordMetrics, serve_metrics
from authz_service.servers.notify_metrics import NotifyMetrics
from authz_service.servers.probes import Health
from authz_service.store.hold_ages import HoldAges
from authz_service.store.writer import Commits


class Probes:
    """A process that lives, and is not ready."""

    def live(self) -> Health:
        return Health(True, b'{"live":true}')

    def ready(self) -> Health:
        return Health(False, b'{"ready":false,"why":"store_unavailable"}')


def page(commits: Commits, took: Took | None = None, *, is_away: bool = False) -> dict[str, Metric]:
    """The families of a page with all collectors of one process."""
    gateway: Any = SimpleNamespace(
        live={"a", "b"},
        decisions=Counter({"allow": 3, "hold": 1}),
        masked=Counter({("answer", "EMAIL_ADDRESS"): 2}),
        took=took or Took(),
        limited=Counter(),
        buffered=4096,
        waiting=SimpleNamespace(total=1, approved=7),
        recorder=SimpleNamespace(backlog=2),
    )
    deliveries = SimpleNamespace(standings={"a": SimpleNamespace(name="a", size=1, failures=0)})
    checkpoints: Any = SimpleNamespace(deliveries=deliveries, is_consistent=True, size=1, taken_at=1.0)
    standing = SimpleNamespace(queued=1, oldest_at=0.0, delivered=2, failures=0, given_up=0)
    notifying: Any = SimpleNamespace(standings={"a": standing}, now=3.0)

    async def probe() -> None:
        if is_away:
            raise Unavailable("the record store is away", code="store_unavailable")

    store: Any = SimpleNamespace(commits=commits, queued=5, probe=probe)
    certificates = CertificateMetrics((Shown("listen.tls", Path("/nowhere")),))
    collectors = (
        certificates,
        ExchangeMetrics(gateway),
        LimitMetrics(gateway),
        PolicyMetrics(lambda: "ab12"),
        CheckpointMetrics(checkpoints),
        NotifyMetrics(notifying),
    )

    class Aged:
        async def hold_ages(self, bounds: Sequence[float]) -> HoldAges:
            return HoldAges((1, 0, 2, 0, 3), 5000.0)

    async def read() -> str:
        loop = asyncio.get_running_loop()
        asking = (RecordMetrics(store, "1.2.3", loop), HoldMetrics(Aged(), loop))
        async with serve_metrics(("127.0.0.1", 0), (*collectors, *asking), Probes()) as url:
            answer = await asyncio.to_thread(urllib.request.urlopen, url)
            with answer:
                return cast(str, answer.read().decode())

    return {family.name: family for family in text_string_to_metric_families(asyncio.run(read()))}
