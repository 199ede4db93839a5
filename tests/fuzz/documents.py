"""Places in a JSON document where something can be hidden, and documents that differ in one of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from random import Random
from typing import Any

MASKED = "[X]"
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A value, or with `is_key` the name under which it stands."""

    path: Path
    is_key: bool = False


def places(document: object) -> list[Place]:
    """Where a document has a string, a number or a key, in order."""
    found: list[Place] = []
    waiting: list[tuple[Path, object]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            found += [Place((*path, key), is_key=True) for key in value]
            waiting += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, i), item) for i, item in enumerate(value)]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            found.append(Place(path))
    return found


def value_at(document: Any, place: Place) -> Any:
    """What stands at a place: of a key, the key."""
    if place.is_key:
        return place.path[-1]
    for step in place.path:
        document = document[step]
    return document


def with_value(document: Any, place: Place, value: Any) -> Any:
    """A copy with another value at a place, or another name for its key; the order stays."""
    if not place.path:
        return value
    changed = copy.deepcopy(document)
    parent: Any = changed
    for step in place.path[:-1]:
        parent = parent[step]
    last = place.path[-1]
    if not place.is_key:
        parent[last] = value
        return changed
    members = [(value if key == last else key, item) for key, item in parent.items()]
    parent.clear()
    parent.update(members)
    return changed


def mutated(document: Any, random: Random, words: list[str], values: list[Any]) -> Any:
    """A copy with one member moved, dropped, renamed, added or replaced by what stands elsewhere."""
    changed = copy.deepcopy(document)
    containers = [value for value in _all(changed) if isinstance(value, dict | list)]
    if not containers:
        return random.choice(values)
    target = random.choice(containers)
    new = copy.deepcopy(random.choice([*_all(document), *values]))
    if isinstance(target, list):
        at = random.randint(0, len(target))
        if target and random.random() < 0.5:
            del target[min(at, len(target) - 1)]
        if random.random() < 0.8:
            target.insert(at, new)
        return changed
    names = [*target]
    choice = random.random()
    if names and choice < 0.25:
        del target[random.choice(names)]
    elif names and choice < 0.5:
        target[random.choice(words)] = target.pop(random.choice(names))
    elif names and choice < 0.75:
        target[random.choice(names)] = new
    else:
        target[random.choice(words)] = new
    return changed


def _all(document: Any) -> list[Any]:
    """A document with all values in it."""
    found: list[Any] = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        found.append(value)
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
