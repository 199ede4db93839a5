"""`limits`: what is larger or deeper is refused, and how much each caller, API key and model may have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from authz_service.config import scalars
from authz_service.config.model import Limits, Model
from authz_service.config.section import Section
from authz_service.core.limits import CountedBy, Limit, Rates

MIB: Final = 1024 * 1024
_MOST: Final = 10**12
_KINDS: Final = (
    ("callers", "groups", CountedBy.CALLER),
    ("keys", "names", CountedBy.KEY),
    ("models", "names", CountedBy.MODEL),
)


def read_limits(root: Section, models: Collection[Model]) -> Limits:
    """The section of the file; every part of it may be left out."""
    section = root.section_or_empty("limits")
    default = Limits()
    limits = Limits(
        body=section.optional("body", scalars.size(1024, 256 * MIB), default.body),
        depth=section.optional("depth", scalars.whole_number(4, 200), default.depth),
        rates=tuple(_rates(section, {model.name for model in models})),
    )
    section.close()
    return limits


def _rates(section: Section, models: Collection[str]) -> Iterator[Limit]:
    for key, named, by in _KINDS:
        for each in section.sections(key):
            only = frozenset(each.optional(named, scalars.list_of(scalars.line), ()))
            strange = sorted(only - set(models)) if by is CountedBy.MODEL else []
            if strange:
                each.refuse_value(named, f"there is no model {strange[0]!r}; name it as `models` does")
            rates = Rates(
                requests_per_minute=_number(each, "requests_per_minute"),
                tokens_per_minute=_number(each, "tokens_per_minute"),
                tokens_per_day=_number(each, "tokens_per_day"),
                concurrent=_number(each, "concurrent"),
            )
            each.close()
            if rates == Rates():
                each.refuse(each.node.place, "limits nothing; give requests_per_minute, or another")
            yield Limit(by, rates, only)


def _number(section: Section, key: str) -> int | None:
    return section.optional(key, scalars.whole_number(1, _MOST), None)
