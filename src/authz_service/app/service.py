"""A running service: the configuration in force, and how another one comes into force."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from authz_service.app.settings import ServeSettings
from authz_service.app.untold import warn_of_untold
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.config.notify_values import Notify
from authz_service.config.read import Loaded
from authz_service.core.holds import StageRef
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldLimits, HoldSummary
from authz_service.errors import AuthzError, Misconfigured, Unavailable
from authz_service.keys.crew import Duty, Part
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create_key
from authz_service.masking.seams import Scanner
from authz_service.notify.secrets import require_secrets
from authz_service.runtime.gateway import Ending, Gateway, limits_of
from authz_service.runtime.rules import Rules, scanner_of
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)

FIRST_DELAY = 0.5  # seconds until the record is asked once more for what a reload puts on it; then doubled
LONGEST_DELAY = 15.0


@dataclass(frozen=True, slots=True)
class _Ruling:
    """A configuration, and its rules compiled."""

    loaded: Loaded
    rules: Rules


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
        self._store = store
        self._gateway = gateway
        rules = rules_of(loaded, mask_key_of(settings.data)) if gateway is None else gateway.rules
        self._recorded = self._in_force = _Ruling(loaded, rules)
        self._notify = notify
        self._reloading = asyncio.Lock()
        self._may_decide = True
        self._asked = 0
        self.is_up = False

    def ends(self, ending: Ending) -> None:
        """Say who is asked next when the context ends; where others answer too it is never only the next."""
        if self._gateway is not None:
            has_hosts = has_other_hosts(self.loaded.config, self._settings.part)
            self._gateway.ending = Ending.OTHERS if ending is Ending.NEXT and has_hosts else ending

    def serves(self) -> bool:
        """Whether it takes requests: from when it is up until it stops, under rules that are on record."""
        is_stopping = self._gateway is not None and self._gateway.is_stopping
        return self.is_up and self._may_decide and not is_stopping

    @property
    def loaded(self) -> Loaded:
        """The configuration in force: one that was replaced while it waited for the record never is."""
        return self._in_force.loaded

    @property
    def rules(self) -> Rules:
        """Those of the configuration in force, compiled."""
        return self._in_force.rules

    @property
    def hold_limits(self) -> HoldLimits:
        """Those of the configuration in force."""
        return limits_of(self.loaded.config)

    def scanner(self) -> Scanner:
        """The detectors of the configuration in force, for what reviewers are shown."""
        return self.rules.scanner

    async def reload(self) -> None:
        """Put the file's rules in force, or keep the last good ones and say why in the log.

        While the record is away nothing is decided: the old rules are not wanted, and the new ones not on
        record yet. They are as soon as it is back, unless the file was given again meanwhile: what waited
        is on record then and neither decides nor reads an answer, unless what the file has now is refused.
        """
        self._asked += 1
        mine = self._asked
        async with self._reloading:
            if mine != self._asked:
                return  # whoever asked last waits for the lock too, and reads the same file
            try:
                loaded = load_config(self._settings.config)
                _refuse_restart_only(self._recorded.loaded.config, loaded.config)
                require_secrets(loaded.config.notify)
                rules = rules_of(loaded, mask_key_of(self._settings.data))
                await self._record_activation(loaded)
            except AuthzError as error:
                await self._keep(mine, error)
                return
            except Exception as error:  # of whatever kind: what is in force, or waited to be, must decide
                await self._keep(mine, _fault(error), at=traceback.format_tb(error.__traceback__))
                return
            self._recorded = _Ruling(loaded, rules)
            self._enforce(mine)

    async def _record_activation(self, loaded: Loaded) -> None:
        """Try until it is on record; always the same entry, of which the store knows that it is there."""
        draft, delay = activated(loaded, self._settings.part), FIRST_DELAY
        while True:
            try:
                await self._store.append(draft)
                return
            except Unavailable as error:
                if self._may_decide:
                    log.error("policy.waits", policy=loaded.digest, error=str(error))
                    self._decides(False)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _keep(self, asked: int, error: AuthzError, **places: list[str]) -> None:
        """Say why the last rules on record stay, and put them in force if they are not yet."""
        log.error("policy.kept", policy=self._recorded.loaded.digest, error=str(error), **places)
        self._enforce(asked)
        await self._record_refusal(error)

    def _enforce(self, asked: int) -> None:
        """The last rules on record are in force, where nobody has asked for others since."""
        if asked != self._asked:
            return
        is_new, self._in_force = self._in_force is not self._recorded, self._recorded
        if self._gateway is not None:
            self._gateway.rules = self.rules
        self._decides(True)
        if is_new:
            self._notify(self.loaded.config.notify)
            warn_of_untold(self.loaded.config)
            log.info("policy.activated", policy=self.loaded.digest)

    def _decides(self, may: bool) -> None:
        self._may_decide = may
        if self._gateway is not None:
            self._gateway.may_decide = may

    async def _record_refusal(self, error: AuthzError) -> None:
        """That somebody wanted other rules, and why they did not get them; not while the store is away."""
        data = {"policy": self._recorded.loaded.digest, "code": error.code, **named(self._settings.part)}
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

    def concealed_from(self, person: Caller) -> frozenset[str]:
        """What `review.conceal` conceals from this person."""
        return self._service.loaded.roles.concealed_from(person)


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


def _fault(error: Exception) -> Misconfigured:
    """Of ours or a library's; without its message, which may quote what is secret."""
    what = f"the file could not be taken in, by a fault of the program ({type(error).__name__})"
    return Misconfigured(f"{what}; the log says where, and SIGHUP tries again")


def _refuse_restart_only(old: Config, new: Config) -> None:
    """Some sections are built into what runs: say so rather than take half of a file."""
    sections = ("listen", "link", "models", "identity", "store_url", "review", "record", "logins")
    changed = [name for name in sections if getattr(old, name) != getattr(new, name)]
    if changed:
        raise Misconfigured(f"{', '.join(changed)} changed, which takes a restart; nothing was reloaded")
