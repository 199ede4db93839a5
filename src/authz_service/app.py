"""The composition root: builds the service from a configuration and a data directory, and runs it."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import structlog

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.model import Config, Tls
from authz_service.config.read import Loaded
from authz_service.core.holds import Approval, StageRef
from authz_service.core.ports import Store
from authz_service.errors import AuthzError, Misconfigured
from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.identity.trust import verifier_from
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.keys.seal import Sealer
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.indexing import Indexing
from authz_service.runtime.killing import follow_kills
from authz_service.runtime.record import open_record
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.retention import Retaining
from authz_service.runtime.revoking import Revoking
from authz_service.runtime.rules import Rules, scanner_of
from authz_service.runtime.waiting import Waiting
from authz_service.servers.checkpoint_metrics import CheckpointMetrics
from authz_service.servers.ext_authz import ExtAuthz
from authz_service.servers.ext_proc import ProcessServer
from authz_service.servers.gateway import serve_gateway
from authz_service.servers.metrics import serve_metrics
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_tokens import TokenReview
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 5.0
"""What exchanges in flight get to end when the service stops; held ones come back by Envoy's retry."""

SWEEP_SECONDS = 1.0
"""How often overdue holds get their final state; none of them can be approved before either."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `authz serve` is told. `metrics` is a port, 0 chooses.

    `review` is `unix:PATH`, or HOST:PORT, which needs `review_tls`.
    """

    config: Path
    data: DataDir
    review: str
    metrics: int = 0
    review_tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """A running service's addresses."""

    review: str
    metrics: str


def rules_of(loaded: Loaded, mask_key: bytes = b"") -> Rules:
    """The rules of a valid file, with its detectors compiled; see `Rules.of` for the key."""
    return Rules.of(loaded.config, loaded.policy, scanner_of(loaded.config), mask_key)


def _mask_key(data: DataDir) -> bytes:
    """32 bytes: the key of masks that hash."""
    return load_or_create(data.mask_key, _random_key)


class Service:
    """A running service; `reload` takes in the file again."""

    def __init__(self, settings: ServeSettings, loaded: Loaded, gateway: Gateway) -> None:
        self._settings = settings
        self._loaded = loaded
        self._gateway = gateway
        self._reloading = asyncio.Lock()

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._loaded

    async def reload(self) -> None:
        """Put the file's rules in force, or keep the last good ones and say why in the log."""
        async with self._reloading:
            try:
                loaded = load_config(self._settings.config)
                _refuse_restart_only(self._loaded.config, loaded.config)
                rules = rules_of(loaded, _mask_key(self._settings.data))
                await self._gateway.store.append(_activated(loaded))
            except AuthzError as error:
                log.error("policy.kept", policy=self._loaded.digest, error=str(error))
                return
            self._gateway.rules = rules
            self._loaded = loaded
            log.info("policy.activated", policy=loaded.digest)


@asynccontextmanager
async def running(settings: ServeSettings) -> AsyncIterator[tuple[Service, Serving]]:
    """The service within the context: it serves when this yields, and has stopped when it returns."""
    loaded = load_config(settings.config)
    data, config = settings.data, loaded.config
    pseudonym = Pseudonyms(load_or_create(data.pseudonym_key, _random_key)).of
    instance = load_or_create(data.root / "instance", lambda: secrets.token_hex(8).encode()).decode()
    embedded = EmbeddedIssuer.load(data.issuer_key) if config.identity.embedded else None
    verifier = verifier_from(config.identity, config.review, embedded=embedded)
    async with AsyncExitStack() as stack:
        record = await open_record(config, data, instance=instance, pseudonym=pseudonym)
        store = record.store
        stack.push_async_callback(store.close)
        stack.push_async_callback(verifier.close)
        await _begin(store, loaded, record.first)
        stack.push_async_callback(record.checkpoints.take)
        gateway = Gateway(
            store=store,
            rules=rules_of(loaded, _mask_key(data)),
            # A held stream that Envoy sends again, since this process was restarted, has its old seal.
            sealer=Sealer(load_or_create(data.seal_key, _random_key), life=config.holds.wait + 60.0),
            pseudonym=pseudonym,
            waiting=Waiting(store),
            recorder=Recorder(store),
            recheck=verifier.recheck,
        )
        stack.push_async_callback(_end, store, gateway.recorder)
        store.news.subscribe(gateway.waiting.heard)
        revoking = Revoking(store, verifier.revoked.replace)
        await revoking.refresh()
        indexing = Indexing(store, has_texts=config.record.search_texts)
        works = (
            indexing.run(),
            follow_kills(store, gateway),
            gateway.waiting.run(),
            gateway.recorder.run(),
            revoking.run(),
            store.listen(),
            record.checkpoints.run(),
            Retaining(store.forgetting, config.record.keeping.keep, now=store.now).run(),
        )
        for work in (*works, _sweep(store)):
            task = asyncio.create_task(work)
            task.add_done_callback(_stop_if_failed)
            stack.push_async_callback(_cancelled, task)
        try:
            await verifier.warm()
        except AuthzError as error:
            log.warning("identity.keys_away", error=str(error))
        service = Service(settings, loaded, gateway)
        review = ReviewServer(
            store=store,
            verifier=verifier,
            roles=LiveRoles(service),
            waiting=gateway.waiting.count,
            limits=lambda: gateway.hold_limits,
            recheck=verifier.revoked.check,
            news=store.news.subscribe,
            index=indexing,
            tokens=lambda calls: TokenReview(store, calls, verifier.issuers, revoking.refresh, store.now),
        )
        address = await stack.enter_async_context(review.serve(settings.review, tls=settings.review_tls))
        metrics = await stack.enter_async_context(
            serve_metrics(
                settings.metrics,
                live=lambda: len(gateway.live),
                waiting=lambda: gateway.waiting.total,
                more=[CheckpointMetrics(record.checkpoints)],
            )
        )
        check = ExtAuthz(verifier=verifier, sealer=gateway.sealer, refusals=gateway.recorder)
        handlers = (check.handler(), ProcessServer(gateway).handler())
        drain = partial(gateway.drain, seconds=DRAIN_SECONDS)
        await stack.enter_async_context(
            serve_gateway(data.service_socket, handlers, drain=drain, link=config.link)
        )
        yield service, Serving(review=address, metrics=metrics)


class LiveRoles:
    """The roles of the configuration in force, whichever that is when they are asked."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def is_reviewer(self, person: Caller) -> bool:
        """Whether `review.reviewers` names this person."""
        return self._service.loaded.roles.is_reviewer(person)

    def is_auditor(self, person: Caller) -> bool:
        """Whether `review.auditors` names this person."""
        return self._service.loaded.roles.is_auditor(person)

    def is_operator(self, person: Caller) -> bool:
        """Whether `review.operators` names this person."""
        return self._service.loaded.roles.is_operator(person)

    def stages_for(self, person: Caller, approvals: Sequence[Approval]) -> tuple[StageRef, ...]:
        """The stages whose condition names this person."""
        return self._service.loaded.roles.stages_for(person, approvals)


async def _begin(store: Store, loaded: Loaded, first: Sequence[EntryDraft]) -> None:
    recovered = await store.recover()
    four_eyes = not loaded.config.identity.embedded
    started = EntryDraft(
        Kind.SERVICE_STARTED,
        data={"version": metadata.version("authz-service"), "recovered": recovered, "four_eyes": four_eyes},
    )
    await store.append(started, *first, _activated(loaded))
    if recovered:
        log.warning("record.recovered", sessions=recovered)
    if not four_eyes:
        log.warning(
            "identity.embedded",
            note="whoever reads the issuer's key can be anybody: four-eyes is not in force",
        )


async def _end(store: Store, recorder: Recorder) -> None:
    await recorder.drain(with_counts=True)
    with suppress(AuthzError):
        await store.append(EntryDraft(Kind.SERVICE_STOPPED))


async def _sweep(store: Store) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await store.expire_overdue()
        except AuthzError:
            continue  # the store is away; those who need it say so


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """End the process in order, to be started again: without this task nobody who waits would be woken,
    or no end be recorded, while everything seems well."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        # Not what it says: a message could quote what a caller sent.
        log.critical("service.failed", error=type(error).__name__)
        signal.raise_signal(signal.SIGTERM)


def _activated(loaded: Loaded) -> EntryDraft:
    file = loaded.text.encode()
    return EntryDraft(Kind.POLICY_ACTIVATED, data={"policy": loaded.digest}, payloads={"file": file})


def _refuse_restart_only(old: Config, new: Config) -> None:
    """Some sections are built into what runs: say so rather than take half of a file."""
    sections = ("listen", "link", "models", "identity", "store_url", "review", "record")
    changed = [name for name in sections if getattr(old, name) != getattr(new, name)]
    if changed:
        raise Misconfigured(f"{', '.join(changed)} changed, which takes a restart; nothing was reloaded")


def _random_key() -> bytes:
    return secrets.token_bytes(32)
