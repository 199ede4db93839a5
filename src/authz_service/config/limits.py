"""`limits`: what is larger or deeper is refused, and how much callers, groups, keys and models may have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from authz_service.config import scalars
from authz_service.config.gateway_values import Model
from authz_service.config.model import Limits
from authz_service.config.section import Section
from authz_service.core.limits import CountedBy, Limit, Rates

MIB: Final = 1024 * 1024
_MOST: Final = 10**12
_KINDS: Final = (
    ("callers", "groups", CountedBy.CALLER),
    ("groups", "groups", CountedBy.GROUP),
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
        budgets: set[str] = set()
        for each in section.sections(key):
            name = _budget(each, budgets) if by is CountedBy.GROUP else ""
            lines = scalars.list_of(scalars.line)
            is_shared = by is CountedBy.GROUP
            only = frozenset(
                each.required(named, lines, ()) if is_shared else each.optional(named, lines, ())
            )
            is_models = by is CountedBy.MODEL
            of = frozenset[str]() if is_models else frozenset(each.optional("models", lines, ()))
            strange = sorted((only if is_models else of) - set(models))
            if strange:
                where = named if is_models else "models"
                each.refuse_value(where, f"there is no model {strange[0]!r}; name it as `models` does")
            rates = Rates(
                requests_per_minute=_number(each, "requests_per_minute"),
                tokens_per_minute=_number(each, "tokens_per_minute"),
                tokens_per_day=_number(each, "tokens_per_day"),
                concurrent=_number(each, "concurrent"),
                open_holds=_number(each, "open_holds"),
                recorded_bytes_per_day=each.optional(
                    "recorded_bytes_per_day", scalars.size(1024, _MOST), None
                ),
            )
            each.close()
            if rates == Rates():
                each.refuse(each.node.place, "limits nothing; give requests_per_minute, or another")
            yield Limit(by, rates, only, name, of)


def _budget(section: Section, known: set[str]) -> str:
    """The name by which the record knows what several groups have together."""
    name = section.required("name", scalars.name, "")
    if name in known:
        section.refuse_value("name", f"there is a budget called {name!r} already")
    known.add(name)
    return name


def _number(section: Section, key: str) -> int | None:
    return section.optional(key, scalars.whole_number(1, _MOST), None)
