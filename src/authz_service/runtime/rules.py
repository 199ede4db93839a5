"""The rules in force, compiled: one immutable value that a reload replaces as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from authz_service.config.masking_values import Mask
from authz_service.config.model import Config
from authz_service.core.holds import Approval
from authz_service.core.kept import server_of
from authz_service.masking.catalogue import is_always_found
from authz_service.masking.detectors import build_scanner, builtin_names
from authz_service.masking.operators import Masks, Operator, by_type, drop, keyed_hash, partial
from authz_service.masking.options import Options
from authz_service.masking.seams import Scanner
from authz_service.policy.decision import Policy
from authz_service.runtime.presidio import with_presidio
from authz_service.runtime.unsought import FindsNothing

_NOTHING = FindsNothing()

_OPERATORS: Mapping[str, Operator] = {
    "type": by_type,
    "partial": partial,
    "drop": drop,
    "placeholder": by_type,
}


def scanner_of(config: Config) -> Scanner:
    """A valid configuration's detectors, compiled."""
    return build_scanner(
        custom=[(detector.name, detector.pattern) for detector in config.detectors],
        options={given.name: given.options for given in config.detector_options},
    )


def request_scanner_of(config: Config, scanner: Scanner) -> Scanner:
    """`scanner` of the same configuration, with what Presidio finds where the file asks for it.

    Raises `Misconfigured` where Presidio has not what the file asks for.
    """
    return with_presidio(scanner, config.presidio) if config.presidio else scanner


def words_scanner_of(config: Config) -> Scanner:
    """Finds what `review.conceal` names in what people write, who need not write what its detectors ask for.

    A value that counts in a body only after a word such as `card` is found without it, so that whether it is
    found tells nothing of the body. Nothing is compiled where nothing is concealed.
    """
    entities = frozenset(entity for conceal in config.review.conceal for entity in conceal.entities)
    if not entities:
        return _NOTHING
    given = {of.name: of.options for of in config.detector_options}
    custom = [(own.name, own.pattern) for own in config.detectors if own.name in entities]
    known = frozenset(builtin_names() & entities)
    names = [*(name for name in known if not is_always_found(name)), *(name for name, _ in custom)]
    return build_scanner(known, custom, {name: given.get(name, Options()).anywhere() for name in names})


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that judging needs. `models` maps each name and alias to the model's name.

    `servers` maps the model's name to the server that it is asked at, as `server_of` has it.
    `request_scanner` is `scanner`, unless requests are read by Presidio as well. `words_scanner` is as
    `words_scanner_of` makes it.
    """

    config: Config
    policy: Policy
    scanner: Scanner
    request_scanner: Scanner
    models: Mapping[str, str]
    servers: Mapping[str, str]
    request_masks: Masks
    answer_masks: Masks
    approvals: Mapping[str, Approval]
    words_scanner: Scanner = _NOTHING

    @property
    def keeps_originals(self) -> bool:
        """Whether what was there before masking goes on record."""
        return self.config.record.keeping.keep.originals > 0

    @property
    def asks_presidio(self) -> bool:
        """Whether requests are read by Presidio as well."""
        return self.request_scanner is not self.scanner

    @property
    def answer_scanner(self) -> Scanner:
        """`scanner`, or where neither a mask nor a rule is for answers one that has no text wait."""
        return self.scanner if self.answer_masks or self.policy.reads_answers else _NOTHING

    @property
    def for_edited(self) -> Rules:
        """The same for what was masked before a person edited it: the placeholders in it are its texts."""
        return replace(self, request_masks=Masks(self.request_masks.operators))

    @classmethod
    def of(cls, config: Config, policy: Policy, scanner: Scanner, mask_key: bytes = b"") -> Rules:
        """The rules of a valid configuration; raises ValueError where a mask hashes and there is no key.

        `Misconfigured` as `request_scanner_of` does.
        """
        return cls(
            config=config,
            policy=policy,
            scanner=scanner,
            request_scanner=request_scanner_of(config, scanner),
            models={name: m.name for m in config.models for name in (m.name, *m.aliases)},
            servers={m.name: server_of(m.url) for m in config.models},
            request_masks=_masks((mask for mask in config.masks if mask.in_requests), mask_key),
            answer_masks=_masks((mask for mask in config.masks if mask.in_answers), mask_key),
            approvals={approval.name: approval for approval in config.approvals},
            words_scanner=words_scanner_of(config),
        )

    def approvals_of(self, names: tuple[str, ...]) -> tuple[Approval, ...]:
        """The definitions that a decision to hold names; raises KeyError for one that is not there."""
        return tuple(self.approvals[name] for name in names)


def _masks(masks: Iterable[Mask], key: bytes) -> Masks:
    each = [(mask, entity) for mask in masks for entity in mask.entities]
    return Masks(
        {entity: _operator(mask.operator, key) for mask, entity in each},
        {entity: frozenset(mask.restore) for mask, entity in each if mask.restore},
    )


def _operator(name: str, key: bytes) -> Operator:
    return keyed_hash(key) if name == "hash" else _OPERATORS[name]
