"""Options of a case reach the program that it starts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from bench.case import Case, Kind, Site
from bench.gateways import on_sqlite
from bench.processes import NotStarted


def test_a_case_can_give_the_service_options_of_its_own(tmp_path: Path) -> None:
    start = partial(on_sqlite, options=("--no-such-option", "2"))
    case = Case("many", "many", "", Kind.OURS, start, is_masked=True)
    site = Site(tmp_path, model_port=1, model_pid=1)
    with pytest.raises(NotStarted, match="--no-such-option"), case.start(site):
        pass
