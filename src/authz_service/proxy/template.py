"""Finds envoy.yaml, the one file that says how Envoy runs."""

from __future__ import annotations

from pathlib import Path

from authz_service.errors import Misconfigured

_PACKAGED = Path(__file__).with_name("envoy.yaml")
_CHECKOUT = Path(__file__).parents[3] / "envoy" / "envoy.yaml"


def template_path() -> Path:
    """The file that the wheel brought; in a checkout, the one that operators read and tune."""
    for path in (_PACKAGED, _CHECKOUT):
        if path.is_file():
            return path
    raise Misconfigured("envoy.yaml is missing from this installation; install authz-service again")


def template_text(path: Path | None = None) -> str:
    """The text of `path`, or of the file that came with the program."""
    source = path or template_path()
    try:
        return source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read the Envoy file {source}: {error}") from error
