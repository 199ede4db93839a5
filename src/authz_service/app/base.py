"""What every process of a service has: its record, who verifies callers, and work in the background."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import structlog

from authz_service.app.service import activated, named
from authz_service.app.settings import ServeSettings
from authz_service.app.untold import warn_of_untold
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.model import Config
from authz_service.config.notify_values import Notify
from authz_service.config.read import Loaded
from authz_service.core.api_keys import ApiKey
from authz_service.core.ports import Store
from authz_service.core.revocations import Revocation
from authz_service.errors import AuthzError
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.identity.saml.tokens import TokenSigner
from authz_service.identity.trust import verifier_from
from authz_service.identity.verifier import Verifier
from authz_service.keys.api_key import ApiKeyHashes
from authz_service.keys.crew import Duty, Part
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create, load_or_create_key
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.runtime.following import Following
from authz_service.runtime.notifying import Notifying
from authz_service.runtime.record import Record, open_kept_record, open_record
from authz_service.store.recovery import Heritage
from authz_service.store.sql_store import SqlStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Base:
    """What both halves of a service need. `record` is there where this process keeps it.

    `following` is there where API keys count.
    """

    settings: ServeSettings
    loaded: Loaded
    store: SqlStore
    record: Record | None
    verifier: Verifier
    revoking: Following[str, Revocation]
    hashes: ApiKeyHashes
    following: Following[int, ApiKey] | None
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
            task.add_done_callback(partial(_stop_if_failed, part=self.settings.part))
            self.stack.push_async_callback(_cancelled, task)


async def opened(settings: ServeSettings, loaded: Loaded, stack: AsyncExitStack) -> Base:
    data, config, part = settings.data, loaded.config, settings.part
    pseudonym = Pseudonyms(load_or_create_key(data.pseudonym_key)).of
    name = load_or_create(data.root / "instance", lambda: secrets.token_hex(8).encode()).decode()
    instance = part.instance(name)
    heritage = Heritage(instance, name if part.inherits else "", part.instances(name))
    embedded = EmbeddedIssuer.load(data.issuer_key) if config.identity.embedded else None
    hashes = ApiKeyHashes(load_or_create_key(data.api_key_key))
    api_keys = ApiKeys(hashes) if config.identity.api_keys else None
    saml, listener = saml_secret(config, data), config.logins.listener
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
    revoking = Following(store.revocations, verifier.revoked.replace, version="")
    following = None if api_keys is None else Following(store.changed_keys, api_keys.take, version=0)
    store.outbox.wanted = config.notify.wanted
    notifying = Notifying(store, config.notify, pseudonym)
    return Base(
        settings, loaded, store, record, verifier, revoking, hashes, following, pseudonym, stack, notifying
    )


def saml_secret(config: Config, data: DataDir) -> bytes:
    """What seals logins and signs their tokens; replicas need the same file. Empty without SAML."""
    return load_or_create_key(data.saml_key) if config.identity.saml else b""


async def _begin(store: Store, loaded: Loaded, part: Part, first: Sequence[EntryDraft]) -> None:
    recovered = await store.recover()
    four_eyes = not loaded.config.identity.embedded
    started = EntryDraft(
        Kind.SERVICE_STARTED,
        data={
            "version": metadata.version("authz-service"),
            "recovered": recovered,
            "four_eyes": four_eyes,
            **named(part),
        },
    )
    await store.append(started, *first, activated(loaded, part))
    if part.duty is not Duty.ANSWER:
        warn_of_untold(loaded.config)
    if recovered:
        log.warning("record.recovered", sessions=recovered)
    if not four_eyes and part.duty is not Duty.ANSWER:
        log.warning(
            "identity.embedded",
            note="whoever reads the issuer's key can be anybody: four-eyes is not in force",
        )


async def _end(store: Store, part: Part) -> None:
    with suppress(AuthzError):
        await store.append(EntryDraft(Kind.SERVICE_STOPPED, data=named(part)))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stop_if_failed(task: asyncio.Task[None], *, part: Part) -> None:
    """End the process in order, to be started again: without this task nobody who waits would be woken,
    or no end be recorded, while everything seems well. A worker leaves Envoy to the others first."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        # Not what it says: a message could quote what a caller sent.
        kinds = {type(leaf).__name__ for leaf in _leaves(error)}
        log.critical("service.failed", error=", ".join(sorted(kinds)))
        signal.raise_signal(signal.SIGUSR2 if part.duty is Duty.ANSWER else signal.SIGTERM)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong, where several things run together."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
