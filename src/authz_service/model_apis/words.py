"""The fixed words of a dialect's bodies: whatever is not among them counts as somebody's text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from authz_service.view.request import Path
from authz_service.view.unread import Kind


def word_set(text: str) -> frozenset[str]:
    """The words of a text, separated by any white space."""
    return frozenset(text.split())


JSON_SCHEMA_KEYS = word_set("""
    $anchor $comment $defs $id $ref $schema additionalItems additionalProperties allOf anyOf const
    contains contentEncoding contentMediaType default definitions dependentRequired dependentSchemas
    deprecated description else enum examples exclusiveMaximum exclusiveMinimum format if items
    maxContains maxItems maxLength maxProperties maximum minContains minItems minLength minProperties
    minimum multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames
    readOnly required then title type unevaluatedItems unevaluatedProperties uniqueItems writeOnly
    """)
"""Keys of the schemas in which every dialect describes tools and structured answers."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The word lists of one dialect.

    `keys` are the object keys that say nothing of a caller's own; every other key is a text.

    `selecting` are strings that select and say nothing: by the key that they stand under, the words that
    may be there. Any other string under the same key is a text. A list under the key may hold these
    words too.

    `refused` are fields that stop a request, in lower case, each with a reason that completes "this
    field is not supported, since ...". Null and false are as if absent; so is zero for `zero_is_off`.

    `kinds` says for some of them what they hold. These are noted, and a rule may permit them; any other
    stops a request whatever the rules say. Without any, everything that is not text stops a request.
    """

    keys: frozenset[str]
    selecting: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    zero_is_off: Collection[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    _folded: frozenset[str] = field(init=False, repr=False)
    stopping: Mapping[str, str] = field(init=False, repr=False)
    """What `stops_as` answers for each of `keys`: asked for every member of a request."""

    def __post_init__(self) -> None:
        if odd := [key for key in self.refused if folded(key) != key]:
            raise ValueError(f"a refused field is never met as it is written: {odd}")
        if unknown := self.refused.keys() - self.keys:
            raise ValueError(f"a refused field is none of the dialect's keys: {sorted(unknown)}")
        stopping = {key: folded(key) if folded(key) in self.refused else "" for key in self.keys}
        object.__setattr__(self, "_folded", frozenset(map(folded, self.keys)))  # frozen
        object.__setattr__(self, "stopping", stopping)

    def selects(self, key: str | int, value: str) -> bool:
        """Whether a string under `key` is one of the dialect's own words."""
        words = self.selecting.get(key) if isinstance(key, str) else None
        return words is not None and value in words

    def is_disguised(self, key: str) -> bool:
        """Whether a key is one of the API's in other letters.

        A model server in Go reads `Messages` as `messages` (encoding/json folds case, and the last one
        wins), so a body could show one conversation here and another one there. Readers in C may end a
        key at its first NUL.
        """
        return key not in self.keys and folded(key) in self._folded

    def stops_as(self, key: str) -> str:
        """The refused field that the most careless reader would take `key` for; empty when none."""
        known = self.stopping.get(key)
        if known is not None:
            return known
        taken = folded(key)
        return taken if taken in self.refused else ""

    def is_on(self, refused: str, value: object) -> bool:
        """Whether a refused field asks for anything as it stands."""
        if value is None or value is False:
            return False
        return not (refused in self.zero_is_off and value == 0)

    def spoken(self, path: Path) -> str:
        """A path for a message. Keys that are not the API's are shown as `*`: they may be a secret."""
        words = ""
        for step in path:
            if isinstance(step, int):
                words += f"[{step}]"
            else:
                words += ("." if words else "") + (step if step in self.keys else "*")
        return words or "the body"


def folded(key: str) -> str:
    """A key as the most careless reader takes it."""
    return key.partition("\0")[0].casefold()
