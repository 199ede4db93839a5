"""Workers that start together check nobody before all of them listen.

Envoy asks one who somebody is, and the next moment maybe another one what is asked. Where that one does not
listen yet, Envoy asks again, but cannot send a body above 64 KiB twice.
"""

from __future__ import annotations

import asyncio

import structlog

from authz_service.config.gateway_values import Link
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.listening import worker_serves

WITHIN = 10.0
"""Seconds for which one waits for the others: one of them may not come at all."""
PAUSE = 0.02

log = structlog.get_logger(__name__)


async def until_all_listen(link: Link | None, data: DataDir, part: Part, *, within: float = WITHIN) -> None:
    """Wait until every other worker of this host listens, or `within` seconds are over."""
    missing = {worker for worker in range(part.workers) if worker != (part.worker or 0)}
    try:
        async with asyncio.timeout(within):
            while missing:
                worker = min(missing)
                if await asyncio.to_thread(worker_serves, link, data, Part(part.workers, worker)):
                    missing.remove(worker)
                else:
                    await asyncio.sleep(PAUSE)
    except TimeoutError:
        log.warning("service.workers_missing", missing=sorted(missing))
