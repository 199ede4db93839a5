"""The half of a service that is there once: the review API, checkpoints, purges, sweeps, logins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from authz_service.app.base import Base, saml_secret
from authz_service.app.service import LiveRoles, Service
from authz_service.config.identity_values import LoginListener
from authz_service.core.ports import Store
from authz_service.identity.download import new_client
from authz_service.model_apis.registry import ADAPTERS
from authz_service.runtime.concealing import Concealing
from authz_service.runtime.indexing import Indexing
from authz_service.runtime.mishaps import Mishaps
from authz_service.runtime.record import Record
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.retention import Retaining
from authz_service.runtime.revising import Revising
from authz_service.runtime.threads import Threads
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_calls import Calls
from authz_service.servers.review_concealing import Veil
from authz_service.servers.review_grants import GrantReview
from authz_service.servers.review_keys import KeyReview
from authz_service.servers.review_logins import LoginReview
from authz_service.servers.review_notifications import NotificationReview
from authz_service.servers.review_record import RecordReview
from authz_service.servers.review_tokens import TokenReview
from authz_service.servers.review_usage import UsageReview

log = structlog.get_logger(__name__)


SWEEP_SECONDS = 1.0
"""How often overdue holds get their final state; none of them can be approved before either."""


async def keep(base: Base, record: Record, service: Service) -> str:
    """What is needed once for all workers; the address of the review API."""
    store, config, settings, notifying = base.store, base.loaded.config, base.settings, base.notifying
    store.news.subscribe(notifying.heard)
    indexing = Indexing(store, has_texts=config.record.search_texts)
    retaining = Retaining(store.forgetting, config.record.keeping.keep, now=store.now)
    base.run(
        indexing.run(),
        record.checkpoints.run(),
        retaining.run(),
        retaining.complete(),
        _sweep(store),
        notifying.run(),
    )
    if config.logins.listener is not None:
        await _serve_saml(base, config.logins.listener)
    verifier, revoking = base.verifier, base.revoking
    concealing = Concealing(lambda: service.rules, Threads())
    review = ReviewServer(
        store=store,
        verifier=verifier,
        roles=LiveRoles(service),
        limits=lambda: service.hold_limits,
        reviser=Revising(lambda: service.rules, time.time, Threads(), store.entries),
        recheck=verifier.revoked.check,
        news=store.news.subscribe,
        index=indexing,
        keys=_key_review(base, service),
        logins=LoginReview.of(config),
        grants=lambda calls: GrantReview(
            store, calls, lambda: service.loaded.config.approvals, Veil(concealing)
        ),
        notifications=lambda calls: NotificationReview(store, calls, notifying),
        scanner=service.scanner,
        concealer=concealing,
        record=lambda calls: RecordReview(
            store, calls, lambda: service.loaded.config.record.keeping.keep, base.pseudonym
        ),
        usage=lambda calls: UsageReview(
            store,
            store,
            calls,
            lambda: service.loaded.config.limits.rates,
            lambda: {model.name for model in service.loaded.config.models},
            store.now,
        ),
        tokens=lambda calls: TokenReview(store, calls, verifier.issuers, revoking.refresh, store.now),
    )
    return await base.stack.enter_async_context(review.serve(settings.review, tls=settings.review_tls))


def _key_review(base: Base, service: Service) -> Callable[[Calls], KeyReview] | None:
    """What operators make API keys with; None where none count."""
    following, store, hashes = base.following, base.store, base.hashes
    if following is None:
        return None
    apis = frozenset(adapter.name for adapter in ADAPTERS)

    def models() -> set[str]:
        return {name for m in service.loaded.config.models for name in (m.name, *m.aliases)}

    return lambda calls: KeyReview(store, calls, hashes, following.refresh, store.now, models, apis)


async def _serve_saml(base: Base, listener: LoginListener) -> None:
    """Take browsers and commands that log in by SAML."""
    from authz_service.runtime.saml_serving import request_signer, saml_grants  # of the extra `saml`
    from authz_service.servers.saml_http import SamlListener

    config, recorder = base.loaded.config, Recorder(base.store)
    client = new_client()
    base.stack.push_async_callback(client.aclose)
    base.stack.push_async_callback(recorder.drain, with_counts=True)
    grants = saml_grants(
        config,
        listener,
        saml_secret(config, base.settings.data),
        request_signer(base.settings.data),
        store=base.store,
        count=recorder.count,
        pseudonym=base.pseudonym,
        client=client,
    )
    base.run(recorder.run())
    address = await base.stack.enter_async_context(SamlListener(listener, grants).serve())
    log.info("saml.listening", address=address, url=listener.url)


async def _sweep(store: Store) -> None:
    mishaps = Mishaps("holds.sweep_failed")
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await store.expire_overdue()
            mishaps.over()
        except Exception as error:  # whatever one row has, the service must not end with it
            mishaps.say(error)
