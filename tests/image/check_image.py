"""`make image-check`: the Dockerfile's steps in a plain Debian root, and what Compose runs of the result.

For machines without a container engine. Needs root (chroot, mounts in a namespace of its own) and a Debian
mirror. The root is made once, in build/image, by debootstrap; its Python is Debian's (3.11, the oldest
that is supported), not the base image's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.image.instructions import Instruction, Stage, stages_of

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "image"
BASE = IMAGE / "base"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv,ca-certificates"
FROM_HOST = ("/opt/pypi", "/opt/pypi-more", "/opt/wheels", "/etc/ssl/certs")
"""Where this machine's pip may find packages and certificates, for those whose settings name them."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TRIES = 120
"""Half seconds until a service that does not become healthy has failed."""
IN_NAMESPACE = "AUTHZ_IMAGE_CHECK"


class Build:
    """The stages that were built, each in a folder of its own."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self.folders: dict[str, Path] = {}
        self.environment: dict[str, str] = {}
        self.user = "root"
        self.entrypoint: list[str] = []
        self.arguments = arguments
        """As `docker build --build-arg` has them."""

    def build(self, stage: Stage) -> Path:
        """Run all instructions of a stage in a copy of the base."""
        folder = self.folders[stage.name] = IMAGE / stage.name
        shutil.rmtree(folder, ignore_errors=True)
        run(["cp", "-a", "--reflink=auto", str(BASE), str(folder)])
        connect(folder)
        self.environment, self.user, workdir = {"PATH": PATH}, "root", "/"
        for instruction in stage.instructions:
            print(f"--- {stage.name}: {instruction.word} {instruction.text[:100]}", flush=True)
            match instruction.word:
                case "RUN":
                    self.run(folder, ["/bin/sh", "-c", f"cd {workdir} && {instruction.text}"])
                case "COPY":
                    self._copy(folder, instruction, workdir)
                case "WORKDIR":
                    workdir = instruction.text
                    (folder / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
                case "ARG":
                    name, _, value = instruction.words[0].partition("=")
                    self.environment[name] = self.arguments.get(name, value)
                case "ENV":
                    for pair in instruction.words:
                        name, _, value = pair.partition("=")
                        self.environment[name] = value.replace("$PATH", self.environment["PATH"])
                case "USER":
                    self.user = instruction.text
                case "ENTRYPOINT":
                    self.entrypoint = instruction.words
                case "CMD":
                    self.run(folder, [*self.entrypoint, *instruction.words])
                case other:
                    sys.exit(f"this check does not know {other}")
        return folder

    def run(self, folder: Path, command: list[str], *, user: str | None = None) -> None:
        """One command in a stage, as whoever it says there."""
        own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        chroot = ["chroot", f"--userspec={user or self.user}", str(folder)]
        variables = [f"{name}={value}" for name, value in {**own, **self.environment, "HOME": "/tmp"}.items()]
        run([*chroot, "/usr/bin/env", "-i", *variables, *command])

    def _copy(self, folder: Path, instruction: Instruction, workdir: str) -> None:
        words, source = instruction.words, ROOT
        if words[0].startswith("--from="):
            source = self.folders[words.pop(0).removeprefix("--from=")]
        *names, to = words
        target = folder / (to if to.startswith("/") else f"{workdir}/{to}").lstrip("/")
        for found in (path for name in names for path in sorted(source.glob(name.lstrip("/")))):
            into = target / found.name if to.endswith("/") and not found.is_dir() else target
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*_pb2*")
                shutil.copytree(found, into, dirs_exist_ok=True, ignore=ignored)
            else:
                shutil.copy(found, into)


def make_base() -> None:
    """A plain Debian, as the base image is one, with Python called as there."""
    if (BASE / "usr/local/bin/python").is_symlink():
        return
    shutil.rmtree(BASE, ignore_errors=True)
    IMAGE.mkdir(parents=True, exist_ok=True)
    program = shutil.which("debootstrap")
    environment = dict(os.environ)
    if program is None:
        run(["apt-get", "download", "debootstrap"], cwd=IMAGE)
        (package,) = IMAGE.glob("debootstrap_*.deb")
        run(["dpkg", "-x", str(package), str(IMAGE / "tools")])
        environment["DEBOOTSTRAP_DIR"] = str(IMAGE / "tools/usr/share/debootstrap")
        program = str(IMAGE / "tools/usr/sbin/debootstrap")
    command = ["sh", program, "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(BASE), MIRROR]
    run(command, env=environment)
    (BASE / "usr/local/bin/python").symlink_to("/usr/bin/python3")


def connect(folder: Path) -> None:
    """Devices, names and this machine's packages, in this process's own namespace."""
    run(["mount", "--bind", "/dev", str(folder / "dev")])
    run(["mount", "-t", "proc", "proc", str(folder / "proc")])
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    for name in FROM_HOST:
        if Path(name).exists():
            inside = folder / name.lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            run(["mount", "--bind", "-o", "ro", name, str(inside)])
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", folder / "etc/pip.conf")


def run_what_compose_runs(build: Build, folder: Path) -> None:
    """Each command of docker-compose.yml that ends by itself, in the image, as its user, in its order."""
    compose: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    (folder / "etc/authz").mkdir(exist_ok=True)
    shutil.copy(ROOT / "compose" / "authz.yaml", folder / "etc/authz/authz.yaml")
    for name in ("certificates", "gateway-certificate"):
        print(f"--- compose: {name}", flush=True)
        build.run(folder, [*build.entrypoint, *services[name]["command"]])
    print("--- compose: envoy", flush=True)
    render, _, start = services["envoy"]["command"][0].partition("&& exec ")
    build.run(folder, ["sh", "-c", render])
    # Its access log is /dev/stdout, which here is root's; an engine gives it to the user.
    build.run(
        folder, ["sh", "-c", f"{start} --mode validate > /tmp/said; code=$?; cat /tmp/said; exit $code"]
    )
    serve_for_a_moment(build, folder, services)
    print("--- compose: model", flush=True)
    build.run(folder, [*services["model"]["entrypoint"], "--help"])
    for written in ("/opt/authz", "/usr/local", "/etc/authz"):
        check = f"! touch {written}/of-the-user 2>/dev/null"
        build.run(folder, ["sh", "-c", check])


def serve_for_a_moment(build: Build, folder: Path, services: dict[str, Any]) -> None:
    """The tables, then the service until its health check is content, and its end in order.

    The databases of Compose are containers of others: SQLite stands in for them, and has one worker.
    """
    config = YAML(typ="safe").load((folder / "etc/authz/authz.yaml").read_text())
    config |= {"store": {"url": "sqlite:///authz.db"}, "record": {}}
    with (folder / "etc/authz/sqlite.yaml").open("w") as file:
        YAML(typ="safe").dump(config, file)
    named = ["env", "AUTHZ_CONFIG=/etc/authz/sqlite.yaml"]
    migrate, serve = services["migrate"]["command"], list(services["authz"]["command"])
    serve[serve.index("--workers") + 1] = "1"
    print("--- compose: migrate", flush=True)
    build.run(folder, [*named, *build.entrypoint, *migrate])
    print("--- compose: authz", flush=True)
    check = shlex.join(services["authz"]["healthcheck"]["test"][1:])
    started = f"{shlex.join([*build.entrypoint, *serve])} & service=$!"
    asked = f"n=0; until {check} 2>/dev/null; do n=$((n+1)); [ $n -lt {TRIES} ] || exit 1; sleep 0.5; done"
    build.run(folder, [*named, "sh", "-c", f"{started}; {asked}; kill $service; wait $service"])


def run(command: list[str], **more: Any) -> None:
    """A command that has to succeed."""
    done = subprocess.run(command, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {shlex.join(command)}")


def main() -> None:
    """All of it, in a mount namespace whose mounts end with this process."""
    if os.geteuid() != 0:
        sys.exit("chroot and mounts need root: run this as root, or build the image with an engine")
    if IN_NAMESPACE not in os.environ:
        own = {**os.environ, IN_NAMESPACE: "1"}
        again = ["unshare", "--mount", "--pid", "--fork", sys.executable, "-m", "tests.image.check_image"]
        sys.exit(subprocess.run(again, env=own, cwd=ROOT, check=False).returncode)
    run(["mount", "--make-rprivate", "/"])
    make_base()
    build = Build({"EXTRAS": os.environ.get("AUTHZ_EXTRAS", "")})
    for stage in stages_of(ROOT / "Dockerfile"):
        folder = build.build(stage)
    run_what_compose_runs(build, folder)
    print("the image builds, and what Compose runs of it ends well")


if __name__ == "__main__":
    main()
