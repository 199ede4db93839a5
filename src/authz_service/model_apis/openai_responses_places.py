"""The places of the texts of one response: which item and part an event means, and what is under way."""

from __future__ import annotations

from authz_service.model_apis.answer_frame import FrameTexts, stated_index, unreadable
from authz_service.model_apis.openai_responses_runs import Runs


class Places:
    """What was said so far. Events name an item by its id, its index, or both."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._parts: dict[str, int] = {}
        self._items = 0
        self._open: set[str] = set()
        self._open_in: dict[str, set[str]] = {}
        """The same by item."""
        self._ended: set[str] = set()
        self._told: dict[str, int] = {}
        self.runs = Runs()

    def item(
        self,
        name: object,
        index: object,
        texts: FrameTexts,
        *,
        kind: object = None,
        begins: bool = False,
        is_list: bool = False,
    ) -> int:
        """The number of an item; the last one's where the event does not say which.

        `kind` is its type, where the event has it. `is_list`: the index is its place in a list, where the
        id says more.
        """
        by_id = self._by_id.get(name) if isinstance(name, str) else None
        by_index = self._by_index.get(_index(index, texts)) if index is not None else None
        if by_id is not None and by_index is not None and by_id != by_index and not is_list:
            unreadable(texts.words, ("output_index",), "it is that of another item")
        number = by_id if by_id is not None else by_index
        if number is None:
            is_told = isinstance(name, str) or index is not None or begins
            number = self._items if is_told or not self._items else self._items - 1
            self._items = max(self._items, number + 1)
        if isinstance(name, str):
            self._by_id.setdefault(name, number)
        if index is not None and not is_list:
            self._by_index.setdefault(_index(index, texts), number)
        if kind is not None:
            texts.ended += self.runs.turn(number, is_message=kind == "message", under_way=self._open)
        return number

    def part(self, number: int, where: str, index: object, texts: FrameTexts, *, begins: bool = False) -> str:
        """The place of a part of an item; of the one that began last where the event does not say which."""
        place = f"items/{number}/{where}"
        if index is not None:
            self._parts[place] = _index(index, texts)
        elif begins:
            self._parts[place] = self._parts.get(place, -1) + 1
        return f"{place}/{self._parts.setdefault(place, 0)}"

    def go_on(self, place: str, texts: FrameTexts) -> None:
        """A text goes on: it must not have ended."""
        if place in self._ended:
            unreadable(texts.words, ("delta",), "a text goes on after its end")
        if place not in self._open:
            self._open.add(place)
            self._open_in.setdefault(_item_of(place), set()).add(place)
        self._told.setdefault(place, 1)

    def copy(self, place: str) -> int:
        """How often a text was told before."""
        told = self._told.get(place, 0)
        self._told[place] = told + 1
        return told

    def end(self, place: str, texts: FrameTexts) -> None:
        """Nothing more is said at a place; or below it, where it ends in a slash."""
        is_open = self._open_in.get(_item_of(place), set())
        self._over({open_ for open_ in is_open if open_ == place or open_.startswith(_below(place))}, texts)

    def _over(self, ended: set[str], texts: FrameTexts) -> None:
        for place in ended:
            self._open_in[_item_of(place)].remove(place)
        self._open -= ended
        self._ended |= ended
        texts.ended.extend(sorted(place for place in ended if place not in self.runs))

    def end_item(self, number: int, texts: FrameTexts) -> None:
        """Nothing more is said in an item."""
        self.end(f"items/{number}/", texts)
        texts.ended += self.runs.end_item(number)

    def end_all(self, texts: FrameTexts) -> None:
        """Nothing more is said anywhere."""
        self._over(set(self._open), texts)
        texts.ended += self.runs.end_all()

    def join(self, place: str, texts: FrameTexts) -> str:
        """The channel that a part's text goes on with."""
        channel = self.runs.join(place, self._open)
        if channel is None:
            unreadable(texts.words, ("delta",), "a part goes on after another has begun")
        return channel


def _item_of(place: str) -> str:
    return place.split("/", 2)[1]


def _below(place: str) -> str:
    return place if place.endswith("/") else f"{place}/"


def _index(value: object, texts: FrameTexts) -> int:
    return stated_index(value, texts.words, (), "output_index")
