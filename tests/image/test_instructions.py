"""The Dockerfile is read as an engine reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.image.instructions import stages_of

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
KNOWN = {"RUN", "COPY", "WORKDIR", "ARG", "ENV", "USER", "ENTRYPOINT", "CMD"}


def test_each_instruction_is_one_that_the_check_of_the_image_runs() -> None:
    stages = stages_of(DOCKERFILE)
    assert [stage.name for stage in stages] == ["build", "1"]
    assert {i.word for stage in stages for i in stage.instructions} <= KNOWN
    assert stages[-1].instructions[-2].words == ["authz"]


def test_continued_lines_are_one_and_comments_none(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("# a comment\nFROM base AS made\nRUN one \\\n && two\n# another\nUSER me\n")
    (stage,) = stages_of(file)
    assert (stage.name, stage.base) == ("made", "base")
    assert [(i.word, " ".join(i.text.split())) for i in stage.instructions] == [
        ("RUN", "one && two"),
        ("USER", "me"),
    ]


def test_what_comes_before_the_first_stage_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("RUN one\n")
    with pytest.raises(ValueError, match="RUN before FROM"):
        stages_of(file)
