"""No value of any entity type crosses in any field of any model API, whole or streamed."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from tests.coverage import cells as table
from tests.coverage.cells import Cell, cells, entity_types, leaks
from tests.coverage.page import PAGE, page

from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.registry import ADAPTERS, find_operation

CELLS = list(cells())


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_no_value_crosses_and_the_text_around_it_does(cell: Cell, held: dict[str, Collection[str]]) -> None:
    wrong = {entity: leaks(cell, entity) for entity in entity_types()}
    held[repr(cell)] = {entity for entity, why in wrong.items() if not why}
    assert not any(wrong.values()), [why for why in wrong.values() if why]


def test_the_page_lists_exactly_the_cells_that_there_are() -> None:
    every = {repr(cell): entity_types() for cell in CELLS}
    assert page(CELLS, entity_types(), every) == PAGE.read_text(), "pytest tests/coverage --coverage-page"


def test_a_cell_that_did_not_hold_shows_on_the_page() -> None:
    partly = {repr(cell): entity_types()[1:] for cell in CELLS[:1]}
    assert f"{len(entity_types()) - 1} of {len(entity_types())}" in page(CELLS, entity_types(), partly)


def test_every_operation_has_cells_and_every_name_is_there_once() -> None:
    names = [repr(cell) for cell in CELLS]
    assert len(set(names)) == len(names)
    tried = {route[1].name for route in (find_operation("POST", cell.path) for cell in CELLS) if route}
    assert tried == {operation.name for adapter in ADAPTERS for operation in adapter.operations}


@pytest.mark.parametrize("mode", ["request", "whole", "streamed"])
def test_a_cell_fails_when_nothing_is_masked(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    blind: Callable[[], object] = lambda: build_scanner(["CREDIT_CARD"])  # noqa: E731  one line says it
    monkeypatch.setattr(table, "scanner", blind)
    assert all(leaks(cell, "EMAIL_ADDRESS") for cell in CELLS if cell.mode == mode)
