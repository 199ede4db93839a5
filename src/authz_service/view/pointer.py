"""JSON pointers (RFC 6901), by which a place in a document is told."""

from __future__ import annotations

from authz_service.view.request import Path


def pointer(path: Path) -> str:
    """The pointer to what stands at `path`."""
    return "".join("/" + escaped(str(step)) for step in path)


def escaped(key: str) -> str:
    """A key as one step of a pointer, or of a channel's name: two keys never make one step."""
    return key.replace("~", "~0").replace("/", "~1")
