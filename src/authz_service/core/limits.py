"""How much a caller, a group, an API key or a model may have, and what one request is held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from authz_service.values import value
from authz_service.view.caller import API_KEYS, Caller
from authz_service.view.request import RequestView
from authz_service.view.scope import Scope

MINUTE: Final = 60.0
DAY: Final = 86_400.0
LONGEST_OPEN: Final = 3600.0
"""Seconds for which an exchange counts as concurrent at most: one whose process died has no end on record."""

_MOST_TOKENS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
"""Parameters of the model APIs that bound an answer."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests and tokens in any 60 seconds, tokens and recorded bytes in any 24 hours, exchanges at once,
    and holds that pend at once.

    None is no limit.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None
    recorded_bytes_per_day: int | None = None
    open_holds: int | None = None

    def with_also(self, other: Rates) -> Rates:
        """The lower of both, each by itself."""
        return Rates(
            _lower(self.requests_per_minute, other.requests_per_minute),
            _lower(self.tokens_per_minute, other.tokens_per_minute),
            _lower(self.tokens_per_day, other.tokens_per_day),
            _lower(self.concurrent, other.concurrent),
            _lower(self.recorded_bytes_per_day, other.recorded_bytes_per_day),
            _lower(self.open_holds, other.open_holds),
        )


class CountedBy(StrEnum):
    """Whose requests are counted together."""

    CALLER = "caller"
    GROUP = "group"
    KEY = "key"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Limit:
    """`rates` for each caller, API key or model by itself, or for those named in `only`.

    `only` are groups of callers, names of API keys, or names of models; empty is all of them. Counted by
    group, the members of all groups in `only` have the rates together, as the budget `name`. With `models`
    requests to these alone count, all of them together, and are limited.
    """

    by: CountedBy
    rates: Rates
    only: frozenset[str] = frozenset()
    name: str = ""
    models: frozenset[str] = frozenset()


QuotaKey = tuple[CountedBy, str, tuple[str, ...]]


class Quota(NamedTuple):
    """What is counted together. `name` is a caller's pseudonym, a budget of groups, a key's id or a model.

    With `models` it is what they ask of these; without, of all.
    """

    by: CountedBy
    name: str
    rates: Rates
    models: tuple[str, ...] = ()

    @property
    def key(self) -> QuotaKey:
        """What tells it from others, whatever its rates."""
        return self.by, self.name, self.models


@value
class Demand:
    """What one request wants of its quotas.

    `prompt` tokens are estimated, `answer` is how many it allows itself, `size` is its body in bytes.
    """

    quotas: tuple[Quota, ...]
    prompt: int = 0
    answer: int = 0
    size: int = 0

    @property
    def tokens(self) -> int:
        """What it counts for until its end is known."""
        return self.prompt + self.answer

    @property
    def budgets(self) -> tuple[str, ...]:
        """The names of the groups' budgets that it counts for."""
        return tuple(quota.name for quota in self.quotas if quota.by is CountedBy.GROUP)


class Allowance(NamedTuple):
    """A limit, what is left of it, and after how many seconds all that was used is free again."""

    limit: int
    left: int
    reset: float


@value
class Admitted:
    """It is on record, and counts. The tightest limits of its quotas, at `now` (seconds since the epoch)."""

    now: float
    requests: Allowance | None = None
    tokens: Allowance | None = None


@value
class LimitReached:
    """Nothing is recorded: `what` (as in `Rates`) is used up; `again` seconds from now there is room.

    None where there never is: the request alone asks for more than `limit`. `models` are those of the quota.
    """

    what: str
    by: CountedBy
    limit: int
    now: float
    again: float | None
    left: int = 0
    models: tuple[str, ...] = ()


Admission = Admitted | LimitReached


def demand_of(
    limits: tuple[Limit, ...],
    caller: Caller,
    pseudonym: str,
    model: str,
    request: RequestView | None,
    *,
    size: int = 0,
) -> Demand | None:
    """What a request with a body of `size` bytes is held to; None where no limit is meant for it.

    Without `request`, on a path that passes unread, it has no tokens.
    """
    if not limits and caller.scope is None:
        return None
    quotas = quotas_of(limits, caller, pseudonym, model)
    if not quotas:
        return None
    if request is None:
        return Demand(quotas, size=size)
    answer = _most_of_answer(request.parameters) * request.choices
    return Demand(quotas, request.token_estimate, answer, size)


def quotas_of(
    limits: tuple[Limit, ...], caller: Caller, pseudonym: str, model: str | None = None
) -> tuple[Quota, ...]:
    """All that a caller's requests count for, those to `model` if one is named; "" is a path without one.

    Whose groups may be incomplete is taken for a member of every group, but uses up the budgets of those
    alone that the token names: of the others they have the rates for themselves.
    """
    names = {CountedBy.CALLER: pseudonym}
    if model:
        names[CountedBy.MODEL] = model
    if caller.issuer == API_KEYS:
        names[CountedBy.KEY] = str(caller.claims["key"])
    found: dict[QuotaKey, Rates] = {}
    for limit in (*limits, *_of_scope(caller)):
        by, name = limit.by, limit.name or names.get(limit.by)
        if name is not None and _is_meant(limit, caller, model):
            if by is CountedBy.GROUP and limit.only and limit.only.isdisjoint(caller.groups):
                by, name = CountedBy.CALLER, pseudonym
            key = by, name, tuple(sorted(limit.models))
            found[key] = found.get(key, Rates()).with_also(limit.rates)
    return tuple(Quota(by, name, rates, models) for (by, name, models), rates in found.items())


def estimated_answer(released: bytes, content_type: str) -> int:
    """About how many tokens these bytes of an answer had, where the model does not say it.

    Models mostly send an event, or a line, for each token; of a whole document four bytes are one.
    """
    if content_type.startswith("text/event-stream"):
        return max(released.count(b"\n\n"), len(released) // 300)
    if content_type.startswith("application/x-ndjson"):
        return max(released.count(b"\n"), len(released) // 300)
    return len(released) // 4


def _of_scope(caller: Caller) -> Iterator[Limit]:
    if caller.scope is not None and (tokens := Scope.of(caller.scope).tokens_per_day) is not None:
        by = CountedBy.KEY if caller.issuer == API_KEYS else CountedBy.CALLER
        yield Limit(by, Rates(tokens_per_day=tokens))


def _is_meant(limit: Limit, caller: Caller, model: str | None) -> bool:
    if limit.models and model is not None and model not in limit.models:
        return False
    if not limit.only:
        return True
    match limit.by:
        case CountedBy.CALLER | CountedBy.GROUP:
            return not caller.groups_complete or not limit.only.isdisjoint(caller.groups)
        case CountedBy.KEY:
            return caller.subject in limit.only
        case CountedBy.MODEL:
            return model in limit.only


def _most_of_answer(parameters: Mapping[str, object]) -> int:
    """The largest of what bounds the answer; 0 where nothing does."""
    found = [parameters.get(name) for name in _MOST_TOKENS]
    return max((n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 0), default=0)


def _lower(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)
