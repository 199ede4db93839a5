"""What lies beside an exported verifier is run neither instead of Python's own, nor of the verifier's."""

from __future__ import annotations

import importlib.machinery
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LIE = "print('everything fits')\nimport os\nos._exit(0)\n"
PYTHONS_OWN = ["argparse.py", "hashlib.py", "json/__init__.py", "pathlib.py", "multiprocessing/__init__.py"]


def started(out: Path, *flags: str, more: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, str(out / "verify.py"), *more]
    return subprocess.run(command, capture_output=True, text=True, cwd=out.parent, check=False)


def files(out: Path) -> set[Path]:
    return {path.relative_to(out) for path in out.rglob("*")}


@pytest.mark.parametrize("flags", [("-I", "-S"), ("-I",), ()])
def test_a_file_with_a_name_of_pythons_own_is_not_run(out: Path, flags: tuple[str, ...]) -> None:
    for name in PYTHONS_OWN:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(LIE)
    (out / "manifest.json").unlink()
    done = started(out, *flags)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_compiled_form_of_the_verifier_is_not_run_whatever_it_says_it_is_of(out: Path) -> None:
    folder = out / "authz_verifier"
    genuine = (folder / "command.py").read_bytes()
    (folder / "command.py").write_text(LIE)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert py_compile.compile(str(folder / "command.py"), invalidation_mode=mode)
    (folder / "command.py").write_bytes(genuine)
    (folder / f"command{importlib.machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"no library")
    (folder / "walk").mkdir()
    (folder / "walk" / "__init__.py").write_text(LIE)
    (out / "manifest.json").unlink()
    done = started(out, "-I", "-S")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("flags", [("-I", "-S"), ()])
def test_several_processes_verify_with_it_alone_and_leave_nothing_there(
    out: Path, flags: tuple[str, ...]
) -> None:
    before = files(out)
    done = started(out, *flags, more=("--jobs", "2"))
    assert (done.returncode, "everything fits" in done.stdout, done.stderr) == (0, True, "")
    assert files(out) == before


def test_processes_that_help_run_nothing_that_lies_where_they_are_started(out: Path) -> None:
    (out / "multiprocessing").mkdir()
    (out / "multiprocessing" / "__init__.py").write_text("open('run', 'w')\n" + LIE)
    command = [sys.executable, "verify.py", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out, check=False)
    assert (done.returncode, done.stdout.count("everything fits"), done.stderr) == (0, 1, "")
    assert not (out / "run").exists()


def test_a_copy_of_ones_own_verifies_an_export_that_has_another(out: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.move(out / "verify.py", own)
    shutil.copytree(out / "authz_verifier", own / "authz_verifier")
    (out / "authz_verifier" / "command.py").write_text(LIE)
    done = started(own, "-I", more=(str(out), "--jobs", "2"))
    assert (done.returncode, "key" in done.stdout) == (0, True)
