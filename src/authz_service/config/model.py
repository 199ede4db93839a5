"""The configuration as frozen values, named as in authz.yaml; durations in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from authz_service.config.gateway_values import Link, Listen, Model
from authz_service.config.identity_values import Identity, Logins
from authz_service.config.masking_values import CustomDetector, DetectorOptions, Mask, PresidioDetector
from authz_service.config.notify_values import Notify
from authz_service.config.record_values import Record
from authz_service.core.holds import Approval
from authz_service.core.limits import Limit


@dataclass(frozen=True, slots=True)
class Conceal:
    """Entity types of which no value is shown to reviewers, `unless` that (CEL over `person`) names them."""

    entities: tuple[str, ...]
    unless: str = "false"


@dataclass(frozen=True, slots=True)
class Review:
    """The review API: its tokens' audience, and who may use it (CEL over `person`).

    `originals` are those among the auditors who may read values before masking.
    `conceal` is what is not shown to everybody.
    """

    audience: str = "authz-review"
    reviewers: str = "'reviewers' in person.groups"
    auditors: str = "'auditors' in person.groups"
    operators: str = "'operators' in person.groups"
    originals: str = "false"
    break_glass: str = "false"
    record_officers: str = "false"
    conceal: tuple[Conceal, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Holds:
    """How long a caller waits on the connection, how long an approval may be used, how many pend.

    `noise` are paths ("/metadata/nonce") whose values do not make a request another request. A reviewer's
    claim lasts `claim`. Approved requests go to the models at `release_rate` a second at most.
    """

    wait: float = 180.0
    use_within: float = 900.0
    pending_per_caller: int = 20
    noise: tuple[tuple[str, ...], ...] = ()
    claim: float = 900.0
    release_rate: int = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest body (bytes, each direction when it must be whole), the deepest JSON, and the rates."""

    body: int = 8 * 1024 * 1024
    depth: int = 64
    rates: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class PathRule:
    """A method and exact path that may pass unread to `model` when the CEL condition holds."""

    method: str
    path: str
    when: str
    model: str


@dataclass(frozen=True, slots=True)
class Config:
    """A whole authz.yaml, valid. The rules themselves are compiled into a `Policy`."""

    listen: Listen
    models: tuple[Model, ...]
    identity: Identity
    review: Review
    masks: tuple[Mask, ...]
    detectors: tuple[CustomDetector, ...]
    paths: tuple[PathRule, ...]
    holds: Holds
    approvals: tuple[Approval, ...]
    limits: Limits
    store_url: str
    record: Record = field(default_factory=Record)
    detector_options: tuple[DetectorOptions, ...] = ()
    presidio: tuple[PresidioDetector, ...] = ()
    link: Link | None = None
    logins: Logins = field(default_factory=Logins)
    notify: Notify = field(default_factory=Notify)

    @property
    def is_break_glass_untold(self) -> bool:
        """Somebody may decide alone, and no receiver is told when they do."""
        is_told = any("break_glass" in hook.events for hook in self.notify.webhooks)
        return self.review.break_glass != "false" and not is_told

    @property
    def issuer_urls(self) -> tuple[str, ...]:
        """The issuers that are listed, those of SAML's providers last; without the embedded one."""
        listener = self.logins.listener
        saml = () if listener is None else tuple(p.issuer(listener) for p in self.identity.saml)
        return (*(issuer.url for issuer in self.identity.issuers), *saml)
