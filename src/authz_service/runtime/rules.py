"""The rules in force, compiled: one immutable value that a reload replaces as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authz_service.config.model import Config
from authz_service.core.holds import Approval
from authz_service.masking.detectors import build_scanner
from authz_service.masking.seams import Scanner
from authz_service.policy.decision import Policy


def scanner_of(config: Config) -> Scanner:
    """A valid configuration's detectors, compiled."""
    return build_scanner(
        custom=[(detector.name, detector.pattern) for detector in config.detectors],
        options={given.name: given.options for given in config.detector_options},
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that judging needs. `models` maps each name and alias to the model's name."""

    config: Config
    policy: Policy
    scanner: Scanner
    models: Mapping[str, str]
    request_masks: frozenset[str]
    answer_masks: frozenset[str]
    approvals: Mapping[str, Approval]

    @classmethod
    def of(cls, config: Config, policy: Policy, scanner: Scanner) -> Rules:
        """The rules of a valid configuration."""
        return cls(
            config=config,
            policy=policy,
            scanner=scanner,
            models={name: m.name for m in config.models for name in (m.name, *m.aliases)},
            request_masks=frozenset(e for m in config.masks if m.in_requests for e in m.entities),
            answer_masks=frozenset(e for m in config.masks if m.in_answers for e in m.entities),
            approvals={approval.name: approval for approval in config.approvals},
        )

    def approvals_of(self, names: tuple[str, ...]) -> tuple[Approval, ...]:
        """The definitions that a decision to hold names; raises KeyError for one that is not there."""
        return tuple(self.approvals[name] for name in names)
