"""The composition root: builds the service from a configuration and a data directory, and runs it."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

import structlog
from prometheus_client.registry import Collector

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.model import Config, LoginListener, Tls
from authz_service.config.notify_values import Notify
from authz_service.config.read import Loaded
from authz_service.core.holds import StageRef
from authz_service.core.ports import HoldLimits, HoldSummary, Store
from authz_service.errors import AuthzError, Misconfigured
from authz_service.framing.prefer import LONGEST_WAIT
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.download import new_client
from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.identity.saml.extra import require_saml
from authz_service.identity.saml.tokens import TokenSigner
from authz_service.identity.trust import verifier_from
from authz_service.identity.verifier import Verifier
from authz_service.keys.api_key import ApiKeyHashes
from authz_service.keys.crew import Duty, Part
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create, load_or_create_key
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.keys.seal import Sealer
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import ADAPTERS
from authz_service.notify.secrets import require_secrets
from authz_service.runtime.following_keys import FollowingKeys
from authz_service.runtime.gateway import Gateway, limits_of
from authz_service.runtime.indexing import Indexing
from authz_service.runtime.killing import follow_kills
from authz_service.runtime.marks import Marks
from authz_service.runtime.notifying import Notifying
from authz_service.runtime.pacing import Pace
from authz_service.runtime.record import Record, open_kept_record, open_record
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.retention import Retaining
from authz_service.runtime.revising import Revising
from authz_service.runtime.revoking import Revoking
from authz_service.runtime.rules import Rules, scanner_of
from authz_service.runtime.threads import Threads
from authz_service.runtime.waiting import Waiting
from authz_service.servers.checkpoint_metrics import CheckpointMetrics
from authz_service.servers.ext_authz import ExtAuthz
from authz_service.servers.ext_proc import ProcessServer
from authz_service.servers.gateway import serve_gateway
from authz_service.servers.limit_metrics import LimitMetrics
from authz_service.servers.metrics import ExchangeMetrics, RecordMetrics, serve_metrics
from authz_service.servers.notify_metrics import NotifyMetrics
from authz_service.servers.probes import ProcessProbes
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_calls import Calls
from authz_service.servers.review_grants import GrantReview
from authz_service.servers.review_keys import KeyReview
from authz_service.servers.review_logins import LoginReview
from authz_service.servers.review_notifications import NotificationReview
from authz_service.servers.review_record import RecordReview
from authz_service.servers.review_tokens import TokenReview
from authz_service.servers.review_usage import UsageReview
from authz_service.store.crew import require_possible
from authz_service.store.recovery import Heritage
from authz_service.store.sql_store import SqlStore
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
"""How often overdue holds get their final state; none of them can be approved before either."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `authz serve` is told. `metrics` is a host and a port, 0 chooses.

    `review` is `unix:PATH`, or HOST:PORT, which needs `review_tls`. `part` is what this process does where
    the service is several. `drain` is what exchanges in flight get to end when it stops, in seconds; held
    ones come back by Envoy's retry.
    """

    config: Path
    data: DataDir
    review: str
    metrics: tuple[str, int] = ("127.0.0.1", 0)
    review_tls: Tls | None = None
    drain: float = 5.0
    part: Part = Part()  # noqa: RUF009 - a frozen value


@dataclass(frozen=True, slots=True)
class Serving:
    """A running service's addresses; `review` is empty where another process serves that."""

    review: str
    metrics: str


def rules_of(loaded: Loaded, mask_key: bytes = b"") -> Rules:
    """The rules of a valid file, with its detectors compiled; see `Rules.of` for the key."""
    return Rules.of(loaded.config, loaded.policy, scanner_of(loaded.config), mask_key)


def _mask_key(data: DataDir) -> bytes:
    """32 bytes: the key of masks that hash."""
    return load_or_create_key(data.mask_key)


class Service:
    """A running service; `reload` takes in the file again. One that only keeps has no `gateway`."""

    def __init__(
        self,
        settings: ServeSettings,
        loaded: Loaded,
        store: Store,
        gateway: Gateway | None = None,
        notify: Callable[[Notify], None] = lambda _notify: None,
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._store = store
        self._gateway = gateway
        self._rules = rules_of(loaded, _mask_key(settings.data)) if gateway is None else gateway.rules
        self._notify = notify
        self._reloading = asyncio.Lock()
        self.is_up = False

    def serves(self) -> bool:
        """Whether it takes requests: from when it is up until it stops."""
        return self.is_up and not (self._gateway is not None and self._gateway.is_stopping)

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._loaded

    @property
    def rules(self) -> Rules:
        """Those of the configuration in force, compiled."""
        return self._rules

    @property
    def hold_limits(self) -> HoldLimits:
        """Those of the configuration in force."""
        return limits_of(self._loaded.config)

    def scanner(self) -> Scanner:
        """The detectors of the configuration in force, for what reviewers are shown."""
        return self._rules.scanner

    async def reload(self) -> None:
        """Put the file's rules in force, or keep the last good ones and say why in the log."""
        async with self._reloading:
            try:
                loaded = load_config(self._settings.config)
                _refuse_restart_only(self._loaded.config, loaded.config)
                require_secrets(loaded.config.notify)
                rules = rules_of(loaded, _mask_key(self._settings.data))
                await self._store.append(_activated(loaded, self._settings.part))
            except AuthzError as error:
                log.error("policy.kept", policy=self._loaded.digest, error=str(error))
                await self._record_refusal(error)
                return
            if self._gateway is not None:
                self._gateway.rules = rules
            self._notify(loaded.config.notify)
            self._loaded, self._rules = loaded, rules
            log.info("policy.activated", policy=loaded.digest)

    async def _record_refusal(self, error: AuthzError) -> None:
        """That somebody wanted other rules, and why they did not get them; not while the store is away."""
        data = {"policy": self._loaded.digest, "code": error.code, **_named(self._settings.part)}
        draft = EntryDraft(Kind.POLICY_REFUSED, data=data, payloads={"error": str(error).encode()})
        with suppress(AuthzError):
            await self._store.append(draft)


@dataclass(frozen=True, slots=True)
class _Base:
    """What both halves of a service need. `record` is there where this process keeps it.

    `following` is there where API keys count.
    """

    settings: ServeSettings
    loaded: Loaded
    store: SqlStore
    record: Record | None
    verifier: Verifier
    revoking: Revoking
    hashes: ApiKeyHashes
    following: FollowingKeys | None
    pseudonym: Callable[[tuple[str, str]], str]
    stack: AsyncExitStack
    notifying: Notifying

    def notify(self, notify: Notify) -> None:
        """From now on these are told of holds."""
        self.store.outbox.wanted = notify.wanted
        self.notifying.replace(notify)

    def run(self, *works: Coroutine[None, None, None]) -> None:
        """Have these done in the background until the service ends."""
        for work in works:
            task = asyncio.create_task(work)
            task.add_done_callback(_stop_if_failed)
            self.stack.push_async_callback(_cancelled, task)


@asynccontextmanager
async def running(settings: ServeSettings) -> AsyncIterator[tuple[Service, Serving]]:
    """The service within the context: it serves when this yields, and has stopped when it returns."""
    loaded = load_config(settings.config)
    require_secrets(loaded.config.notify)
    require_possible(loaded.config, settings.data, settings.part.workers)
    require_saml(loaded.config)
    async with AsyncExitStack() as stack:
        base = await _opened(settings, loaded, stack)
        has_gateway = settings.part.duty is not Duty.KEEP
        gateway = _gateway(base) if has_gateway else None
        if gateway is not None and gateway.marks is not None:
            stack.callback(gateway.marks.close)
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
        collectors: list[Collector] = [RecordMetrics(base.store, metadata.version("authz-service"))]
        if gateway is not None:
            collectors += [ExchangeMetrics(gateway), LimitMetrics(gateway)]
        address = ""
        if base.record is not None:
            collectors.append(CheckpointMetrics(base.record.checkpoints))
            collectors.append(NotifyMetrics(base.notifying))
            address = await _keep(base, base.record, service)
        probes = ProcessProbes(base.store, service.serves, asyncio.get_running_loop())
        metrics = await stack.enter_async_context(serve_metrics(settings.metrics, collectors, probes))
        if gateway is not None:
            await _answer(base, gateway)
        service.is_up = True
        yield service, Serving(review=address, metrics=metrics)


async def _opened(settings: ServeSettings, loaded: Loaded, stack: AsyncExitStack) -> _Base:
    data, config, part = settings.data, loaded.config, settings.part
    pseudonym = Pseudonyms(load_or_create_key(data.pseudonym_key)).of
    name = load_or_create(data.root / "instance", lambda: secrets.token_hex(8).encode()).decode()
    instance = part.instance(name)
    heritage = Heritage(instance, name if part.inherits else "", part.instances(name))
    embedded = EmbeddedIssuer.load(data.issuer_key) if config.identity.embedded else None
    hashes = ApiKeyHashes(load_or_create_key(data.api_key_key))
    api_keys = ApiKeys(hashes) if config.identity.api_keys else None
    saml, listener = _saml_secret(config, data), config.logins.listener
    verifier = verifier_from(
        config.identity,
        config.review,
        embedded=embedded,
        api_keys=api_keys,
        pseudonym=pseudonym,
        saml=None if listener is None else (listener, TokenSigner(saml).key),
    )
    stack.push_async_callback(verifier.close)
    record: Record | None = None
    if part.duty is Duty.ANSWER:
        store = await open_kept_record(
            config, data, instance=instance, pseudonym=pseudonym, heritage=heritage
        )
    else:
        record = await open_record(config, data, instance=instance, pseudonym=pseudonym, heritage=heritage)
        store = record.store
    stack.push_async_callback(store.close)
    await _begin(store, loaded, part, () if record is None else record.first)
    if record is not None:
        record.begun()
        stack.push_async_callback(record.checkpoints.take)
    stack.push_async_callback(_end, store, part)
    revoking = Revoking(store, verifier.revoked.replace)
    following = None if api_keys is None else FollowingKeys(store, api_keys.take)
    store.outbox.wanted = config.notify.wanted
    notifying = Notifying(store, config.notify, pseudonym)
    return _Base(
        settings, loaded, store, record, verifier, revoking, hashes, following, pseudonym, stack, notifying
    )


def _gateway(base: _Base) -> Gateway:
    data, config, part = base.settings.data, base.loaded.config, base.settings.part
    longest = max(config.holds.wait, LONGEST_WAIT)
    # All workers together keep the rate, of the configuration in force.
    pace = Pace(lambda: gateway.rules.config.holds.release_rate / part.workers)
    gateway = Gateway(
        store=base.store,
        rules=rules_of(base.loaded, _mask_key(data)),
        # A held stream that Envoy sends again, since a process has ended, has its old seal.
        sealer=Sealer(load_or_create_key(data.seal_key), life=longest + 60.0),
        pseudonym=base.pseudonym,
        waiting=Waiting(base.store, pace),
        recorder=Recorder(base.store),
        usage=base.store,
        recheck=base.verifier.recheck,
        marks=None if part.worker is None else Marks(data.sockets, part.worker, part.workers),
    )
    return gateway


async def _keep(base: _Base, record: Record, service: Service) -> str:
    """What is needed once for all workers; the address of the review API."""
    store, config, settings, notifying = base.store, base.loaded.config, base.settings, base.notifying
    store.news.subscribe(notifying.heard)
    indexing = Indexing(store, has_texts=config.record.search_texts)
    base.run(
        indexing.run(),
        record.checkpoints.run(),
        Retaining(store.forgetting, config.record.keeping.keep, now=store.now).run(),
        _sweep(store),
        notifying.run(),
    )
    if config.logins.listener is not None:
        await _serve_saml(base, config.logins.listener)
    verifier, revoking = base.verifier, base.revoking
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
        grants=lambda calls: GrantReview(store, calls, lambda: service.loaded.config.approvals),
        notifications=lambda calls: NotificationReview(store, calls, notifying),
        scanner=service.scanner,
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


def _key_review(base: _Base, service: Service) -> Callable[[Calls], KeyReview] | None:
    """What operators make API keys with; None where none count."""
    following, store, hashes = base.following, base.store, base.hashes
    if following is None:
        return None
    apis = frozenset(adapter.name for adapter in ADAPTERS)

    def models() -> set[str]:
        return {name for m in service.loaded.config.models for name in (m.name, *m.aliases)}

    return lambda calls: KeyReview(store, calls, hashes, following.refresh, store.now, models, apis)


async def _answer(base: _Base, gateway: Gateway) -> None:
    settings, link = base.settings, base.loaded.config.link
    certificates = base.loaded.config.identity.certificates
    check = ExtAuthz(
        verifier=base.verifier,
        sealer=gateway.sealer,
        refusals=gateway.recorder,
        certificates=None if certificates is None else base.verifier,
        yields_to_token=certificates is not None and certificates.yields_to_token,
        took=gateway.took.check,
    )
    handlers = (check.handler(), ProcessServer(gateway).handler())
    drain = partial(gateway.drain, seconds=settings.drain)
    if link is not None:
        host, port = link.listen
        link = replace(link, listen=(host, settings.part.port(port)))
    socket = settings.part.socket(settings.data)
    await base.stack.enter_async_context(serve_gateway(socket, handlers, drain=drain, link=link))


async def _serve_saml(base: _Base, listener: LoginListener) -> None:
    """Take browsers and commands that log in by SAML."""
    from authz_service.runtime.saml_serving import saml_grants  # what the extra `saml` brings
    from authz_service.servers.saml_http import SamlListener

    config, recorder = base.loaded.config, Recorder(base.store)
    client = new_client()
    base.stack.push_async_callback(client.aclose)
    base.stack.push_async_callback(recorder.drain, with_counts=True)
    grants = saml_grants(
        config,
        listener,
        _saml_secret(config, base.settings.data),
        store=base.store,
        count=recorder.count,
        pseudonym=base.pseudonym,
        client=client,
    )
    base.run(recorder.run())
    address = await base.stack.enter_async_context(SamlListener(listener, grants).serve())
    log.info("saml.listening", address=address, url=listener.url)


def _saml_secret(config: Config, data: DataDir) -> bytes:
    """What seals logins and signs their tokens; replicas need the same file. Empty without SAML."""
    return load_or_create_key(data.saml_key) if config.identity.saml else b""


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

    def may_read_originals(self, person: Caller) -> bool:
        """Whether `review.originals` names this person."""
        return self._service.loaded.roles.may_read_originals(person)

    def may_break_glass(self, person: Caller) -> bool:
        """Whether `review.break_glass` names this person."""
        return self._service.loaded.roles.may_break_glass(person)

    def is_record_officer(self, person: Caller) -> bool:
        """Whether `review.record_officers` names this person."""
        return self._service.loaded.roles.is_record_officer(person)

    def stages_for(self, person: Caller, hold: HoldSummary) -> tuple[StageRef, ...]:
        """The stages whose condition names this person."""
        return self._service.loaded.roles.stages_for(person, hold)

    def stage_reads(self, hold: HoldSummary) -> frozenset[str]:
        """What the conditions of all its stages look at."""
        return self._service.loaded.roles.stage_reads(hold)


async def _begin(store: Store, loaded: Loaded, part: Part, first: Sequence[EntryDraft]) -> None:
    recovered = await store.recover()
    four_eyes = not loaded.config.identity.embedded
    started = EntryDraft(
        Kind.SERVICE_STARTED,
        data={
            "version": metadata.version("authz-service"),
            "recovered": recovered,
            "four_eyes": four_eyes,
            **_named(part),
        },
    )
    await store.append(started, *first, _activated(loaded, part))
    if recovered:
        log.warning("record.recovered", sessions=recovered)
    if not four_eyes and part.duty is not Duty.ANSWER:
        log.warning(
            "identity.embedded",
            note="whoever reads the issuer's key can be anybody: four-eyes is not in force",
        )


async def _end(store: Store, part: Part) -> None:
    with suppress(AuthzError):
        await store.append(EntryDraft(Kind.SERVICE_STOPPED, data=_named(part)))


def _named(part: Part) -> dict[str, str]:
    """Which process of several an entry is about."""
    return {} if part.duty is Duty.ALL else {"process": part.name}


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


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong, where several things run together."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """End the process in order, to be started again: without this task nobody who waits would be woken,
    or no end be recorded, while everything seems well."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        # Not what it says: a message could quote what a caller sent.
        kinds = {type(leaf).__name__ for leaf in _leaves(error)}
        log.critical("service.failed", error=", ".join(sorted(kinds)))
        signal.raise_signal(signal.SIGTERM)


def _activated(loaded: Loaded, part: Part) -> EntryDraft:
    file = loaded.text.encode()
    data = {"policy": loaded.digest, **_named(part)}
    return EntryDraft(Kind.POLICY_ACTIVATED, data=data, payloads={"file": file})


def _refuse_restart_only(old: Config, new: Config) -> None:
    """Some sections are built into what runs: say so rather than take half of a file."""
    sections = ("listen", "link", "models", "identity", "store_url", "review", "record", "logins")
    changed = [name for name in sections if getattr(old, name) != getattr(new, name)]
    if changed:
        raise Misconfigured(f"{', '.join(changed)} changed, which takes a restart; nothing was reloaded")
