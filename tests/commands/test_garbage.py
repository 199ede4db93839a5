"""A process that serves does not look through what it has loaded again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from authz_service.commands.garbage import YOUNG_OBJECTS, freeze_what_is_loaded


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_what_was_there_is_looked_through_no_more_and_what_comes_later_still_is() -> None:
    there = [[number] for number in range(1000)]
    freeze_what_is_loaded()
    looked_through = gc.get_objects()
    assert not any(one is there for one in looked_through)
    later: list[object] = []
    assert any(one is later for one in gc.get_objects())
    assert gc.get_threshold()[0] == YOUNG_OBJECTS
