"""Which parts of a response follow each other: their texts are parts of one channel.

The parts of an item do (its content, its summary), and those of messages that follow each other: OpenAI's
SDKs join them all (`output_text`).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection


def is_part(place: str) -> bool:
    """Whether a place, `items/{number}/{path}`, is that of the text of a part."""
    path = place.split("/")[2:]
    return len(path) == 3 and path[0] in ("content", "summary") and path[2] == "text"


class Runs:
    """A run is named after the place of its first part. A part does not go on after another has begun."""

    def __init__(self) -> None:
        self._by_part: dict[str, str] = {}
        self._by_item: dict[int, dict[str, str]] = {}
        """Of each item its runs that are not over, by where they stand in it."""
        self._items: dict[str, list[tuple[int, str]]] = {}
        """The same the other way round: the items of each run."""
        self._last: dict[str, str] = {}
        """Of each run that is not over, the part that was told last."""
        self._messages: set[int] = set()
        self._message = ""
        """The run of messages that goes on with the next message."""

    def __contains__(self, place: str) -> bool:
        return place in self._by_part

    def of(self, place: str) -> str:
        """The run of a part that was told before."""
        return self._by_part.get(place, place)

    def join(self, place: str, under_way: Collection[str]) -> str | None:
        """The run of a part; None where another has begun since. `under_way` are the parts that may go on."""
        known = self._by_part.get(place)
        if known is not None:
            return known if self._last.get(known, place) == place else None
        number, where = _item_of(place)
        run = self._by_item.get(number, {}).get(where, "")
        if not run and number in self._messages and where == "content":
            run = "" if self._last.get(self._message) in under_way else self._message
            self._message = run = run or place
        run = run or place
        self._by_part[place] = run
        if where not in self._by_item.setdefault(number, {}):
            self._by_item[number][where] = run
            self._items.setdefault(run, []).append((number, where))
        self._last[run] = place
        return run

    def turn(self, number: int, *, is_message: bool, under_way: Collection[str]) -> list[str]:
        """An item is told; the run that it ends, if it is no message and comes after those."""
        if is_message:
            self._messages.add(number)
            self._message = self._by_item.get(number, {}).get("content", self._message)
            return []
        last = self._last.get(self._message)
        if last is None or last in under_way or number < _item_of(last)[0]:
            return []
        return self._end({self._message})

    def end_item(self, number: int) -> list[str]:
        """An item is over; the runs that end with it."""
        return self._end({run for run in self._by_item.get(number, {}).values() if run != self._message})

    def end_all(self) -> list[str]:
        """Nothing more is told; the runs that were not over."""
        return self._end(set(self._last))

    def _end(self, runs: Collection[str]) -> list[str]:
        over = sorted(run for run in runs if self._last.pop(run, None) is not None)
        for number, where in itertools.chain.from_iterable(self._items.pop(run, ()) for run in over):
            self._by_item[number].pop(where)
        if self._message in over:
            self._message = ""
        return over


def _item_of(place: str) -> tuple[int, str]:
    _, number, where, *_ = place.split("/")
    return int(number), where
