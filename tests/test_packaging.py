"""What `pip install` of the built wheel gives: the same command, with everything that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy (a build writes generated code) with what is installed here."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("src", "cli", "protos", "envoy"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*_pb2*"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_what_runs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "authz_service/proxy/envoy.yaml",
        "authz_service/servers/wire/ext_proc_pb2.py",
        "authz_api/v1/holds_pb2_grpc.py",
        "authz_cli/main.py",
        "authz_service/store/migrations/env.py",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


def test_the_installed_command_renders_envoys_file(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True, capture_output=True)
    config = tmp_path / "authz.yaml"
    env = {k: v for k, v in os.environ.items() if not k.startswith("AUTHZ_")} | {"PYTHONPATH": str(site)}
    starter = (
        "from authz_service.config import starter;"
        "import authz_service, sys;"
        f"assert authz_service.__file__.startswith({str(site)!r}), authz_service.__file__;"
        "sys.stdout.write(starter.starter_text(model_url='http://127.0.0.1:9'))"
    )
    text = subprocess.run(
        [sys.executable, "-c", starter], check=True, capture_output=True, text=True, env=env, cwd=tmp_path
    )
    config.write_text(text.stdout)
    command = [sys.executable, "-m", "authz_cli.main", "envoy", "render", "--config", str(config)]
    command += ["--data-dir", str(tmp_path / "data")]
    rendered = subprocess.run(command, check=False, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert rendered.returncode == 0, rendered.stderr
    assert "envoy.filters.http.ext_proc" in rendered.stdout
