"""Who has to approve what is held: stages in order, their times, and what happens when these are over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.section import Read, Refused, Section
from authz_service.config.tree import Node
from authz_service.core.business_hours import DAY, Hours
from authz_service.core.holds import Approval, Escalation, Stage
from authz_service.policy.conditions import Phase

LONGEST: Final = 30.0 * DAY
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_approvals(
    root: Section, conditions: ConditionReader, has_zone: Callable[[str], bool]
) -> Mapping[str, Approval | None]:
    """`approvals`: each by name, None for a faulty one."""
    approvals: dict[str, Approval | None] = {}
    for name, section in root.named_sections("approvals"):
        if not scalars.is_name(name):
            section.refuse(section.node.place, "its name must be of letters, digits, '_', '.' and '-'")
        sections = section.sections("stages", at_least_one=True)
        stages = [_read_stage(item, conditions, has_zone) for item in sections]
        snapshot = section.optional("snapshot", scalars.boolean, False)
        section.close()
        good = tuple(stage for stage in stages if stage is not None)
        approvals[name] = Approval(name, good, snapshot) if good and len(good) == len(stages) else None
    return approvals


def _read_stage(
    section: Section, conditions: ConditionReader, has_zone: Callable[[str], bool]
) -> Stage | None:
    condition = conditions.required(section, "reviewers", Phase.STAGES)
    votes = section.optional("votes", scalars.whole_number(1, 100), 1)
    within = section.required("within", scalars.duration(1, LONGEST), 1.0)
    remind = section.optional("remind", scalars.duration(1, LONGEST), 0.0)
    service_accounts = section.optional("service_accounts", scalars.boolean, False)
    editors = section.optional("editor_may_approve", scalars.boolean, False)
    escalate = _read_escalation(section, conditions)
    hours = _read_hours(section.section("hours"), has_zone)
    if section.has("within") and remind >= within:
        section.refuse_value("remind", "must be less than within: it is how long before the end")
    elif escalate is not None and remind >= escalate.within:
        section.refuse_value("remind", "must be less than within of escalate: it is how long before its end")
    section.close()
    if condition is None:
        return None
    in_hours = bool(remind) and hours is not None
    return Stage(condition.text, votes, within, escalate, remind, hours, service_accounts, editors, in_hours)


def _read_escalation(stage: Section, conditions: ConditionReader) -> Escalation | None:
    """Who votes instead; told twice, by `on_timeout` and by `escalate`, so that neither is a slip."""
    words = {"reject": False, "escalate": True}
    escalates = stage.optional("on_timeout", scalars.one_of(words), False)
    section = stage.section("escalate")
    if section is None:
        if escalates and not stage.has("escalate"):
            stage.refuse_value("on_timeout", "name who votes then: escalate: {reviewers: ..., within: ...}")
        return None
    condition = conditions.required(section, "reviewers", Phase.STAGES)
    within = section.required("within", scalars.duration(1, LONGEST), 1.0)
    section.close()
    if not escalates:
        stage.refuse_value("escalate", "has an effect only with on_timeout: escalate")
    return None if condition is None else Escalation(condition.text, within)


def _read_hours(section: Section | None, has_zone: Callable[[str], bool]) -> Hours | None:
    if section is None:
        return None
    zone = section.required("zone", scalars.refused_unless(scalars.line, _zone_check(has_zone)), "")
    spans = section.optional("days", scalars.list_of(_days), ((0, 1, 2, 3, 4),))
    days = tuple(sorted({day for span in spans for day in span}))
    start = section.required("from", _clock, 0)
    end = section.required("to", _clock, DAY)
    section.close()
    if not start < end:
        section.refuse_value("to", "must be later than from, on the same day; 24:00 is the latest")
        return None
    return Hours(zone, days, start, end)


def _zone_check(has_zone: Callable[[str], bool]) -> Callable[[str], str | None]:
    def check(name: str) -> str | None:
        return None if has_zone(name) else f"there is no time zone {name!r}; name one such as Europe/Berlin"

    return check


def _days(node: Node) -> tuple[int, ...]:
    """`sat`, or `mon-fri`."""
    value = scalars.text(node)
    first, dash, last = value.lower().partition("-")
    if first not in _DAYS or (dash and last not in _DAYS):
        raise Refused(f"must be a day or days such as mon or mon-fri, found {value!r}")
    begin, end = _DAYS.index(first), _DAYS.index(last if dash else first)
    if begin > end:
        raise Refused(f"must be days in the order of a week, from mon to sun, found {value!r}")
    return tuple(range(begin, end + 1))


def _clock(node: Node) -> int:
    """`09:00` as seconds after midnight."""
    value = _CLOCK(node)
    hour, minute = value.split(":")
    return int(hour) * 3600 + int(minute) * 60


_CLOCK: Final[Read[str]] = scalars.word(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day such as 09:00")
