"""The composition root: builds the service from a configuration and a data directory, and runs it.

`settings` says what it is told, `base` opens what every process has, `answering` and `keeping` are its two
halves, and `service` is what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata

import structlog
from prometheus_client.registry import Collector

from authz_service.app.answering import answer, gateway_of
from authz_service.app.base import opened
from authz_service.app.keeping import keep
from authz_service.app.service import Service, rules_of
from authz_service.app.settings import ServeSettings, Serving
from authz_service.cel.load import load_config
from authz_service.config.read import Loaded
from authz_service.errors import AuthzError
from authz_service.identity.saml.extra import require_saml
from authz_service.keys.crew import Duty
from authz_service.notify.secrets import require_secrets
from authz_service.runtime.killing import follow_kills
from authz_service.servers.certificate_dates import CertificateMetrics, Shown, certificates_of
from authz_service.servers.checkpoint_metrics import CheckpointMetrics
from authz_service.servers.hold_metrics import HoldMetrics
from authz_service.servers.limit_metrics import LimitMetrics
from authz_service.servers.metrics import ExchangeMetrics, PolicyMetrics, RecordMetrics, serve_metrics
from authz_service.servers.notify_metrics import NotifyMetrics
from authz_service.servers.probes import ProcessProbes
from authz_service.store.crew import require_possible

__all__ = ["ServeSettings", "Service", "Serving", "rules_of", "running"]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def running(settings: ServeSettings) -> AsyncIterator[tuple[Service, Serving]]:
    """The service within the context: it serves when this yields, and has stopped when it returns."""
    loaded = load_config(settings.config)
    require_secrets(loaded.config.notify)
    require_possible(loaded.config, settings.data, settings.part.workers)
    require_saml(loaded.config)
    async with AsyncExitStack() as stack:
        base = await opened(settings, loaded, stack)
        has_gateway = settings.part.duty is not Duty.KEEP
        gateway = gateway_of(base) if has_gateway else None
        service = Service(settings, loaded, base.store, gateway, base.notify)
        if gateway is not None:
            stack.push_async_callback(gateway.recorder.drain, with_counts=True)
            base.store.news.subscribe(gateway.waiting.heard)
        await base.revoking.refresh()
        base.run(base.revoking.run(), base.store.listen())
        if base.following is not None:
            await base.following.refresh()
            base.run(base.following.run())
        if gateway is not None:
            base.run(follow_kills(base.store, gateway), gateway.waiting.run(), gateway.recorder.run())
        try:
            await base.verifier.warm()
        except AuthzError as error:
            log.warning("identity.keys_away", error=str(error))
        loop = asyncio.get_running_loop()
        collectors: list[Collector] = [RecordMetrics(base.store, metadata.version("authz-service"), loop)]
        collectors.append(PolicyMetrics(lambda: service.loaded.digest))
        if gateway is not None:
            collectors += [ExchangeMetrics(gateway), LimitMetrics(gateway)]
        address = ""
        if base.record is not None:
            collectors.append(CheckpointMetrics(base.record.checkpoints))
            collectors.append(NotifyMetrics(base.notifying))
            collectors.append(HoldMetrics(base.store, loop))
            collectors.append(CertificateMetrics(_certificates(settings, loaded)))
            address = await keep(base, base.record, service)
        probes = ProcessProbes(base.store, service.serves, loop)
        metrics = await stack.enter_async_context(serve_metrics(settings.metrics, collectors, probes))
        if gateway is not None:
            await answer(base, gateway)
        service.is_up = True
        yield service, Serving(review=address, metrics=metrics)


def _certificates(settings: ServeSettings, loaded: Loaded) -> tuple[Shown, ...]:
    """All that others see, the review API's too."""
    review = settings.review_tls
    return certificates_of(loaded.config) + (() if review is None else (Shown("--review-cert", review.cert),))
