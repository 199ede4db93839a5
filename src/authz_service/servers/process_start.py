"""When this process began, so that whoever watches sees one that ends again and again."""

from __future__ import annotations

import time

from prometheus_client.core import GaugeMetricFamily

STARTED_AT = time.time()
"""Seconds since the epoch, when this module was read: before anything is served."""


def process_start() -> GaugeMetricFamily:
    """One sample, which only another process can change."""
    return GaugeMetricFamily(
        "authz_process_start_time_seconds",
        "When the process began, in seconds since the epoch.",
        value=STARTED_AT,
    )
