"""The files of an export (C2SP tlog-tiles): where each is, and what its bytes say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from authz_verifier.errors import CannotVerify, Cut

FORMAT = "authz-export/1"
WIDTH = 256
PIECE = 1 << 20
MOST_KEPT = 16 << 20


def unbundle(stored: bytes) -> Iterator[bytes]:
    """The entries of a bundle (tlog-tiles): each after its length in two bytes."""
    place = 0
    while place < len(stored):
        end = place + 2 + int.from_bytes(stored[place : place + 2], "big")
        if end > len(stored) or place + 2 > len(stored):
            raise Cut
        yield stored[place + 2 : end]
        place = end


def read_payloads(path: Path, kept: set[int]) -> Iterator[tuple[bytes, int, str, bytes]]:
    """The digest and size of each payload: 32 bytes of salt, 8 of its size, and itself.

    Of one whose size is in `kept` also its SHA-256, and itself where it has at most 16 MiB.
    """
    with path.open("rb") as file:
        while salt := file.read(32):
            told = file.read(8)
            if len(salt) < 32 or len(told) < 8:
                raise Cut
            digest, plain, few = hashlib.sha256(salt), hashlib.sha256(), b""
            left = size = int.from_bytes(told, "big")
            while left:
                content = file.read(min(left, PIECE))
                if not content:
                    raise Cut
                digest.update(content)
                if size in kept:
                    plain.update(content)
                    few += content if size <= MOST_KEPT else b""
                left -= len(content)
            yield digest.digest(), size, plain.hexdigest() if size in kept else "", few


def tile_path(name: str, width: int) -> str:
    """The last tile of a level says how many hashes it has, unless it is full."""
    return name if width == WIDTH else f"{name}.p/{width}"


def numbered(number: int) -> str:
    """Three digits to a folder (tlog-tiles)."""
    name = f"{number % 1000:03d}"
    while number := number // 1000:
        name = f"x{number % 1000:03d}/{name}"
    return name


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, which is written last: without it an export is not whole."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except OSError as error:
        raise CannotVerify(f"{folder} is no whole export: it has no manifest.json") from error
    except (ValueError, RecursionError) as error:
        raise CannotVerify(f"{folder}/manifest.json is damaged") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CannotVerify(f"{folder} is no export that this verifier knows; it knows {FORMAT}")
    if not all(isinstance(manifest.get(name), int) for name in ("first", "last", "payloads")):
        raise CannotVerify(f"{folder}/manifest.json does not say what the export has")
    if not 1 <= manifest["first"] <= max(1, manifest["last"]):
        raise CannotVerify(f"{folder}/manifest.json names no entries that the export has")
    return manifest


def read(path: Path, name: str) -> bytes:
    """A small file that every export has."""
    try:
        with path.open("rb") as file:
            return file.read(PIECE)
    except OSError as error:
        raise CannotVerify(f"the export has no {name}") from error


def lines(content: bytes) -> list[str]:
    return [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
