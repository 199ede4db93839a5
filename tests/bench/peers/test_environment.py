"""A peer's environment holds exactly what its requirements file pins, and is made again when that changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.peers.cases import PEERS
from bench.peers.environment import binaries, installed, version
from bench.processes import NotStarted

from bench.peers import environment

FILES = sorted(Path(environment.__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_requirement_is_pinned(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) > 10
    assert all(line.count("==") == 1 for line in lines)


def test_a_peer_s_title_names_its_version() -> None:
    assert [file.stem for file in FILES] == ["litellm", "llm-shield-proxy", "presidio"]
    titles = " ".join(case.title for case in PEERS)
    assert all(version(file.stem) in titles for file in FILES if file.stem != "presidio")
    assert version("presidio-analyzer", of="presidio")


def test_a_version_that_nobody_pins_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("something==1\n")
    with pytest.raises(ValueError, match="pins no some"):
        version("some", requirements=tmp_path)


def test_an_environment_is_made_once_and_again_when_its_requirements_change(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("# nothing\n")
    found = binaries("some", requirements=tmp_path, root=tmp_path / "peers")
    assert (found / "python").exists()
    assert installed("some", requirements=tmp_path, root=tmp_path / "peers") == found / "python"
    (found / "left").touch()
    assert (binaries("some", requirements=tmp_path, root=tmp_path / "peers") / "left").exists()
    file.write_text("./missing-1.0-py3-none-any.whl\n")
    assert installed("some", requirements=tmp_path, root=tmp_path / "peers") is None
    with pytest.raises(NotStarted, match=r"some cannot be installed here: .*missing-1\.0"):
        binaries("some", requirements=tmp_path, root=tmp_path / "peers")
    assert not (found / "left").exists()
