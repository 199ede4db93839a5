"""What waits for people is counted by its age, and certificates are shown with their end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from authz_service.errors import Unavailable
from authz_service.keys.certificates import make_certificates
from authz_service.servers.certificate_dates import CertificateMetrics, Shown
from authz_service.servers.hold_metrics import BOUNDS, OLDER, HoldMetrics
from authz_service.store.hold_ages import HoldAges


class Away:
    """A store that is not there."""

    async def hold_ages(self, bounds: Sequence[float]) -> HoldAges:
        raise Unavailable("the record store is away", code="store_unavailable")


class Aged:
    """A store with four holds."""

    async def hold_ages(self, bounds: Sequence[float]) -> HoldAges:
        assert list(bounds) == sorted(bounds)
        return HoldAges((1, 0, 2, 0, 1), 7200.0, 2, 90_000.0)


async def collected(store: Aged | Away) -> list[Metric]:
    return await asyncio.to_thread(HoldMetrics(store, asyncio.get_running_loop()).collect)


def test_each_hold_counts_once_at_its_age() -> None:
    pending, oldest, to_review, longest = asyncio.run(collected(Aged()))
    assert {sample.labels["age"]: sample.value for sample in pending.samples} == dict(
        zip((*BOUNDS, OLDER), (1, 0, 2, 0, 1), strict=True)
    )
    assert [sample.value for sample in oldest.samples] == [7200.0]
    assert [sample.value for found in (to_review, longest) for sample in found.samples] == [2.0, 90_000.0]


def test_a_store_that_is_away_gives_no_numbers_and_no_error() -> None:
    assert [metric.samples for metric in asyncio.run(collected(Away()))] == [[]] * 4


def test_a_certificate_that_is_replaced_has_its_own_end_and_a_missing_one_has_ended(
    tmp_path: Path,
) -> None:
    file = tmp_path / "tls" / "service.crt"
    metrics = CertificateMetrics((Shown("listen.tls", file),))

    def end() -> float:
        (family,) = metrics.collect()
        (sample,) = family.samples
        assert sample.labels == {"certificate": "listen.tls"}
        return float(sample.value)

    assert end() == 0.0
    make_certificates(file.parent, ["localhost"], days=30)
    assert end() == pytest.approx((datetime.now(UTC) + timedelta(days=30)).timestamp(), abs=600)
    file.write_text("no certificate")
    assert end() == 0.0
