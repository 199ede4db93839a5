"""Repeated events that come together go out as they would one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.inspection.repeated_events import ReadsAll, pipe, said_in, steps

from authz_service.inspection import frames
from authz_service.inspection.likeness import Likeness
from authz_service.inspection.pieces import HeldFrame
from authz_service.model_apis.openai_chat import OpenAiChat


@pytest.mark.parametrize("max_body", [150, 1_000, 100_000])
def test_events_that_come_together_wait_for_no_more_than_they_would_one_by_one(
    kit: Any, max_body: int
) -> None:
    """Findings at the beginning, within, over the ends of events and in the last one, and what waits."""
    texts = [
        "a",
        " 12",
        "34",
        "5 ",
        "b",
        " s3",
        "cr",
        "3t",
        " a",
        "@",
        "b",
        " c",
        " d ",
        "123456 ",
        "e",
        " 77",
    ]
    stream = b"".join(said_in(kit, ["x ", *texts]))
    for cut in range(0, len(stream), 37):
        pieces = [stream[:cut], stream[cut:]]
        together = steps(pipe(kit, OpenAiChat(), max_body), pieces)
        assert together == steps(pipe(kit, ReadsAll(), max_body), pieces)


def test_of_events_that_come_together_only_those_with_a_finding_are_looked_at_one_by_one(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    def again(likeness: Likeness, raw: bytes) -> HeldFrame:
        made.append(raw)
        return frames._again(likeness, raw)

    monkeypatch.setattr(frames, "partial", lambda _again, likeness: partial(again, likeness))
    stream = said_in(kit, ["x ", *["word "] * 20, "12", "34 ", *["word "] * 20])
    kit.run(pipe(kit, OpenAiChat()), [b"".join(stream)])
    assert made == stream[21:23]


def test_what_is_known_of_a_likeness_stays_though_another_follows(kit: Any) -> None:
    """What was parted from a run is made when the run is parted, which may be after other events."""
    first = (
        said_in(kit, ["x ", "word ", "12"]) + said_in(kit, ["34"], id="other") + said_in(kit, ["56 ", "a@b "])
    )
    assert steps(pipe(kit, OpenAiChat()), [b"".join(first)]) == steps(
        pipe(kit, ReadsAll()), [b"".join(first)]
    )


def test_no_more_events_are_overtaken_than_would_be_one_by_one(kit: Any) -> None:
    held = [bytes(kit.sse([kit.chunk(kit.delta(reasoning="1"))], end=False))] * (frames.MOST_OVERTAKEN + 9)
    pieces = [b"".join(held), *said_in(kit, ["x ", "y "])]
    assert steps(pipe(kit, OpenAiChat()), pieces) == steps(pipe(kit, ReadsAll()), pieces)
    assert steps(pipe(kit, OpenAiChat()), [*held[:9], *pieces[1:]])[-2].release  # type: ignore[attr-defined]  # an AnswerStep
