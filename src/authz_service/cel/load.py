"""Reads a configuration file with everything that it may refer to: detectors, adapters, CEL."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from authz_service.cel.compiler import CelCompiler
from authz_service.config.faults import BadConfiguration, Fault, Place
from authz_service.config.read import Loaded, Surroundings, read_config
from authz_service.masking.catalogue import check_options
from authz_service.masking.detectors import builtin_names
from authz_service.masking.prefix import check_pattern
from authz_service.model_apis.registry import ADAPTERS, MODELS_PATH, OwnedPaths


def load_config(path: Path) -> Loaded:
    """Read and check a file; raises `BadConfiguration` with every fault and its line."""
    return read_config(read_text(path), source=path, surroundings=surroundings())


def read_text(path: Path) -> str:
    """The text of a file; raises `BadConfiguration` when it cannot be read as UTF-8."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        fault = Fault(Place(1, 1), f"cannot be read: {error.strerror or type(error).__name__}")
        raise BadConfiguration(str(path), [fault]) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        place = Place(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise BadConfiguration(str(path), [Fault(place, "not UTF-8")]) from error


def surroundings() -> Surroundings:
    """What a configuration may refer to in this program."""
    return Surroundings(
        compiler=CelCompiler,
        entities=builtin_names(),
        check_pattern=check_pattern,
        check_options=check_options,
        noise_roots=frozenset(root for api in ADAPTERS for root in api.noise_roots),
        owned_paths=OwnedPaths({MODELS_PATH}),
        has_zone=has_zone,
    )


def has_zone(name: str) -> bool:
    """Whether this is a time zone's name (IANA), such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path, a folder, a name that is too long
        return False
    return True
