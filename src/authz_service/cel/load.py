"""Reads a configuration file with everything that it may refer to: detectors, adapters, CEL."""

from __future__ import annotations

from pathlib import Path

from authz_service.cel.compiler import CelCompiler
from authz_service.config.read import Loaded, Surroundings, read_config
from authz_service.errors import Misconfigured
from authz_service.masking.detectors import builtin_names
from authz_service.masking.prefix import check_pattern
from authz_service.model_apis.registry import ADAPTERS, MODELS_PATH


def load_config(path: Path) -> Loaded:
    """Read and check a file; raises `Misconfigured` with every fault and its line."""
    return read_config(read_text(path), source=path, surroundings=surroundings())


def read_text(path: Path) -> str:
    """The text of a file; raises `Misconfigured` when it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: not UTF-8 at byte {error.start}") from error


def surroundings() -> Surroundings:
    """What a configuration may refer to in this program."""
    owned = {operation.path.lower() for api in ADAPTERS for operation in api.operations}
    return Surroundings(
        compiler=CelCompiler,
        entities=builtin_names(),
        check_pattern=check_pattern,
        noise_roots=frozenset(root for api in ADAPTERS for root in api.noise_roots),
        owned_paths=frozenset({*owned, MODELS_PATH}),
    )
