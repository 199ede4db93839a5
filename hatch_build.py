"""Compiles protos/ into the packages that speak them: ours into authz_api, Envoy's into servers/wire."""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PROTOS = ROOT / "protos"
SOURCE = ROOT / "src"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs protoc once for each build, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate()


def generate() -> None:
    """Write the generated modules into src/; raises SystemExit when protoc refuses a file."""
    _protoc("authz_api", PROTOS / "authz", services=True)
    _protoc("authz_service/servers/wire", PROTOS / "envoy", services=False)


def _protoc(package: str, folder: Path, *, services: bool) -> None:
    """Generate `package` (a path below src/) from the files in `folder`."""
    from grpc_tools import protoc

    arguments = ["protoc", f"-I{package}={folder}", f"-I{_well_known()}"]
    arguments += [f"--python_out={SOURCE}", f"--mypy_out={SOURCE}"]
    if services:
        arguments += [f"--grpc_python_out={SOURCE}", f"--mypy_grpc_out={SOURCE}"]
    # protoc looks for its plugins on the PATH, where a virtual environment that is not activated is missing.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    files = sorted(str(file) for file in folder.rglob("*.proto"))
    if not files:
        raise SystemExit(f"no .proto files in {folder}")
    if protoc.main(arguments + files) != 0:
        raise SystemExit("protoc refused a file under protos/; see the message above")


def _well_known() -> Path:
    import grpc_tools

    return Path(grpc_tools.__file__).parent / "_proto"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    generate()
