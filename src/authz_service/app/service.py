"""A running service: the configuration in force, and how another one comes into force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from authz_service.app.settings import ServeSettings
from authz_service.app.untold import warn_of_untold
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.config.notify_values import Notify
from authz_service.config.read import Loaded
from authz_service.core.holds import StageRef
from authz_service.core.ports import HoldLimits, HoldSummary, Store
from authz_service.errors import AuthzError, Misconfigured
from authz_service.keys.crew import Duty, Part
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create_key
from authz_service.masking.seams import Scanner
from authz_service.notify.secrets import require_secrets
from authz_service.runtime.gateway import Ending, Gateway, limits_of
from authz_service.runtime.rules import Rules, scanner_of
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)


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
        self._rules = rules_of(loaded, mask_key_of(settings.data)) if gateway is None else gateway.rules
        self._notify = notify
        self._reloading = asyncio.Lock()
        self.is_up = False

    def ends(self, ending: Ending) -> None:
        """Say who is asked next when the context ends; where others answer too it is never only the next."""
        if self._gateway is not None:
            has_hosts = has_other_hosts(self._loaded.config, self._settings.part)
            self._gateway.ending = Ending.OTHERS if ending is Ending.NEXT and has_hosts else ending

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
                rules = rules_of(loaded, mask_key_of(self._settings.data))
                await self._store.append(activated(loaded, self._settings.part))
            except AuthzError as error:
                log.error("policy.kept", policy=self._loaded.digest, error=str(error))
                await self._record_refusal(error)
                return
            if self._gateway is not None:
                self._gateway.rules = rules
            self._notify(loaded.config.notify)
            warn_of_untold(loaded.config)
            self._loaded, self._rules = loaded, rules
            log.info("policy.activated", policy=loaded.digest)

    async def _record_refusal(self, error: AuthzError) -> None:
        """That somebody wanted other rules, and why they did not get them; not while the store is away."""
        data = {"policy": self._loaded.digest, "code": error.code, **named(self._settings.part)}
        draft = EntryDraft(Kind.POLICY_REFUSED, data=data, payloads={"error": str(error).encode()})
        with suppress(AuthzError):
            await self._store.append(draft)


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


def has_other_hosts(config: Config, part: Part) -> bool:
    """Whether Envoy has more processes to ask than those of this machine."""
    return config.link is not None and len(config.link.addresses) > part.workers


def rules_of(loaded: Loaded, mask_key: bytes = b"") -> Rules:
    """The rules of a valid file, with its detectors compiled; see `Rules.of` for the key."""
    return Rules.of(loaded.config, loaded.policy, scanner_of(loaded.config), mask_key)


def mask_key_of(data: DataDir) -> bytes:
    """32 bytes: the key of masks that hash."""
    return load_or_create_key(data.mask_key)


def activated(loaded: Loaded, part: Part) -> EntryDraft:
    file = loaded.text.encode()
    data = {"policy": loaded.digest, **named(part)}
    return EntryDraft(Kind.POLICY_ACTIVATED, data=data, payloads={"file": file})


def named(part: Part) -> dict[str, str]:
    """Which process of several an entry is about."""
    return {} if part.duty is Duty.ALL else {"process": part.name}


def _refuse_restart_only(old: Config, new: Config) -> None:
    """Some sections are built into what runs: say so rather than take half of a file."""
    sections = ("listen", "link", "models", "identity", "store_url", "review", "record", "logins")
    changed = [name for name in sections if getattr(old, name) != getattr(new, name)]
    if changed:
        raise Misconfigured(f"{', '.join(changed)} changed, which takes a restart; nothing was reloaded")
