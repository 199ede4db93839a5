"""How long holds wait, and who has to approve them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.model import Holds
from authz_service.config.section import Refused, Section
from authz_service.config.tree import Node
from authz_service.core.holds import Approval, Stage
from authz_service.policy.conditions import Phase

_DAY: Final = 86_400.0


def read_holds(root: Section, noise_roots: Collection[str]) -> Holds:
    """`holds`: how callers wait, and what does not make a request another one."""
    section = root.section_or_empty("holds")
    default = Holds()
    holds = Holds(
        wait=section.optional("wait", scalars.duration(1, _DAY), default.wait),
        use_within=section.optional("use_within", scalars.duration(1, 7 * _DAY), default.use_within),
        pending_per_caller=section.optional(
            "pending_per_caller", scalars.whole_number(1, 10_000), default.pending_per_caller
        ),
        noise=section.optional("noise", scalars.list_of(_noise(noise_roots)), ()),
    )
    section.close()
    return holds


def _noise(roots: Collection[str]) -> Callable[[Node], tuple[str, ...]]:
    """A JSON pointer (RFC 6901) below a key that carries nothing that a model reads."""

    def read(node: Node) -> tuple[str, ...]:
        value = scalars.line(node)
        keys = tuple(key.replace("~1", "/").replace("~0", "~") for key in value.split("/")[1:])
        if not value.startswith("/") or not all(keys):
            raise Refused(f"must be a path such as /metadata/nonce, found {value!r}")
        if keys[0] not in roots:
            raise Refused(f"only what lies under {', '.join(sorted(roots))} can be noise, found {value!r}")
        return keys

    return read


def read_approvals(root: Section, conditions: ConditionReader) -> Mapping[str, Approval | None]:
    """`approvals`: each by name, None for a faulty one."""
    approvals: dict[str, Approval | None] = {}
    for name, section in root.named_sections("approvals"):
        if not scalars.is_name(name):
            section.refuse(section.node.place, "its name must be of letters, digits, '_', '.' and '-'")
        stages = [_read_stage(item, conditions) for item in section.sections("stages", at_least_one=True)]
        snapshot = section.optional("snapshot", scalars.boolean, False)
        section.close()
        good = tuple(stage for stage in stages if stage is not None)
        approvals[name] = Approval(name, good, snapshot) if good and len(good) == len(stages) else None
    return approvals


def _read_stage(section: Section, conditions: ConditionReader) -> Stage | None:
    condition = conditions.required(section, "reviewers", Phase.PEOPLE)
    votes = section.optional("votes", scalars.whole_number(1, 100), 1)
    within = section.required("within", scalars.duration(1, 30 * _DAY), 1.0)
    section.optional("on_timeout", scalars.one_of({"reject": "reject"}, ["escalate"]), "reject")
    section.close()
    if condition is None:
        return None
    return Stage(condition.text, votes, within)
