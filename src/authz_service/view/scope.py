"""What an API key or a service account may ask for at most, in words such as `model:llama`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

EVERY: Final = "*"
LONGEST_SCOPE: Final = 64
"""Words of one caller's scope."""

_WORD = re.compile(r"(model|api|path):([\x21-\x7e]{1,256})")
_TOKENS = re.compile(r"tokens:([1-9][0-9]{0,11})")
_OURS = re.compile(r"(?:model|api|path|tokens):")


def is_word(word: str) -> bool:
    """Whether this is a word of a scope: `model:NAME`, `api:NAME`, `path:PATH` (`*` for all), `tokens:N`."""
    return _WORD.fullmatch(word) is not None or _TOKENS.fullmatch(word) is not None


def is_meant(word: str) -> bool:
    """Whether a word is for us, well formed or not; others (`openid`) are somebody else's."""
    return _OURS.match(word) is not None


@dataclass(frozen=True, slots=True)
class Scope:
    """The models, and the model APIs and paths by which they may be asked.

    A scope only narrows: whatever it permits, the rules judge. Without `models` it permits no model.
    `tokens_per_day` is how many tokens may be used in any 24 hours.
    """

    models: frozenset[str] = frozenset()
    apis: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    tokens_per_day: int | None = None

    @classmethod
    def of(cls, words: Iterable[str]) -> Scope:
        """The scope of these words; raises `ValueError` for one that is none."""
        found: dict[str, set[str]] = {"model": set(), "api": set(), "path": set()}
        most: list[int] = []
        for word in words:
            if tokens := _TOKENS.fullmatch(word):
                most.append(int(tokens[1]))
                continue
            match = _WORD.fullmatch(word)
            if match is None:
                raise ValueError("not a word of a scope")
            found[match[1]].add(match[2])
        models, apis, paths = (frozenset(found[kind]) for kind in ("model", "api", "path"))
        return cls(models, apis, paths, min(most, default=None))

    def has_model(self, *names: str) -> bool:
        """Whether a model may be asked that has these names: its own, and its aliases."""
        return EVERY in self.models or not self.models.isdisjoint(names)

    def has_way(self, api: str, path: str) -> bool:
        """Whether a model may be asked by this API at this path; any, where neither is named."""
        if not self.apis and not self.paths:
            return True
        return not self.apis.isdisjoint((EVERY, api)) or self.has_path(path)

    def has_path(self, path: str) -> bool:
        """Whether a path may be called that passes unread."""
        return not self.paths.isdisjoint((EVERY, path))
