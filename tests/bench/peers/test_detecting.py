"""The detectors of others are measured where they are installed, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench.micro.figure import Room

from bench.peers import detecting


def _room(folder: Path) -> Room:
    return Room(seconds=0.001, folder=folder)


def test_what_is_not_installed_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "installed", lambda name: None)
    assert list(detecting.detecting("a text", _room(tmp_path))) == []


def test_each_reads_the_same_text_in_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "reads.py"
    script.write_text(
        "import sys\nprint('hello')\nprint(len(open(sys.argv[1]).read()) + float(sys.argv[2]))\n"
    )
    monkeypatch.setattr(detecting, "installed", lambda name: Path(sys.executable))
    monkeypatch.setattr(detecting, "_DETECTORS", {"litellm": ("LiteLLM {}", str(script))})
    (figure,) = detecting.detecting("a text", _room(tmp_path))
    assert (figure.name[:8], figure.value, figure.unit) == ("LiteLLM ", 6.001, "MB/CPU s")


def test_one_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise ValueError('broken')\n")
    monkeypatch.setattr(detecting, "installed", lambda name: Path(sys.executable))
    monkeypatch.setattr(detecting, "_DETECTORS", {"presidio": ("Presidio {}", str(script))})
    with pytest.raises(RuntimeError, match=r"(?s)presidio could not read the text.*broken"):
        list(detecting.detecting("a text", _room(tmp_path)))
