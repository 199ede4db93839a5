"""Where a request is not held as it should, the bench says what went wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from bench.holds.pending import held_alone, held_beside

from authz_api.v1 import holds_pb2 as pb


@dataclass
class Gate:
    """Callers and a reviewer: what is in `refused` is refused, all else waits until it is approved."""

    refused: frozenset[int] = frozenset()
    unheard: frozenset[int] = frozenset()
    has_context: bool = True
    waiting: list[int] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        return len(self.answered) + self.faults.total()

    async def send(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number in self.refused:
                self.faults["503"] += 1
            else:
                self.waiting.append(number)

    async def pending(self) -> list[pb.Hold]:
        return [pb.Hold(id=str(number)) for number in self.waiting]

    async def approve_all(self, holds: Sequence[pb.Hold]) -> None:
        for hold in holds:
            self.waiting.remove(int(hold.id))
            if int(hold.id) in self.unheard:
                self.faults["cut off"] += 1
            else:
                self.answered[int(hold.id)] = 0.0

    async def shown(self, hold: str) -> pb.GetHoldResponse:
        found = pb.GetHoldResponse(hold=pb.Hold(id=hold))
        if self.has_context:
            found.context.earlier.add(id="0")
        return found


def beside(gate: Any) -> pb.Hold | str:
    return asyncio.run(held_beside(gate, gate, 0, 3))


def test_a_hold_beside_earlier_ones_is_found() -> None:
    hold = beside(Gate())
    assert isinstance(hold, pb.Hold)
    assert hold.id == "3"


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (Gate(refused=frozenset({3})), "after 3 earlier ones 0 were held where one was sent: {'503': 1}"),
        (Gate(refused=frozenset({1})), "1 of the caller's 3 earlier ones never went out: {'503': 1}"),
        (Gate(unheard=frozenset({0, 2})), "2 of the caller's 3 earlier ones never went out: {'cut off': 2}"),
        (Gate(has_context=False), "a hold is shown beside none of its caller's 3 earlier ones"),
    ],
)
def test_what_keeps_a_hold_from_being_shown_beside_earlier_ones_is_told_apart(gate: Gate, why: str) -> None:
    assert beside(gate) == why


def test_a_request_that_is_not_held_is_no_traceback() -> None:
    gate: Any = Gate(refused=frozenset({7}))
    assert asyncio.run(held_alone(gate, gate, 7, ended=0)) == "0 were held where one was sent: {'503': 1}"
    gate = Gate(waiting=[1])
    assert asyncio.run(held_alone(gate, gate, 7, ended=0)) == "2 were held where one was sent: {}"
