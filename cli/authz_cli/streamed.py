"""A streamed answer as its reader saw it: the pieces of each text, joined."""

from __future__ import annotations

from collections.abc import Iterator

from authz_cli.outline import Json, Number, parse

END = "[DONE]"
WHOLE_LINES = ("message/content", "message/thinking", "response", "thinking")
"""Where the lines of an NDJSON stream (Ollama's) have their text."""


def joined(body: bytes) -> dict[str, str] | None:
    """Each text of a stream by its place, such as `choices/0/delta/content`.

    In events (SSE) texts are the strings below a `delta`, but for its `type`; an element of a list counts
    by its `index`, if it has one, and so does an event. In lines of JSON they are where Ollama has them.
    None for what is no such stream from its first byte to its last, or has no text in it.
    """
    texts: dict[str, str] = {}
    events = _events(body)
    lines = _lines(body) if events is None else None
    for event in events or lines or ():
        for place, text in _texts(event, (), is_delta=events is None):
            key = "/".join(place)
            if events is not None or key in WHOLE_LINES:
                texts[key] = texts.get(key, "") + text
    return texts or None


class Pieces:
    """The texts of a stream that `joined` understands, as its bytes come, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_lines: bool | None = None

    def feed(self, data: bytes) -> Iterator[tuple[str, str]]:
        """Each text that is complete now, with its place."""
        *lines, self._rest = (self._rest + data).splitlines(keepends=True) or [b""]
        if self._rest.endswith((b"\n", b"\r")) or _is_complete(self._rest):
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            text = line.strip()
            if self._is_lines is None and text:
                self._is_lines = text.startswith(b"{")
            event = parse(text if self._is_lines else text.removeprefix(b"data:").strip())
            for place, said in _texts(event, (), is_delta=bool(self._is_lines)):
                key = "/".join(place)
                if not self._is_lines or key in WHOLE_LINES:
                    yield key, said


def _is_complete(line: bytes) -> bool:
    """A last line without an end, as an NDJSON stream may have it."""
    return line.startswith(b"{") and parse(line) is not None


def _lines(body: bytes) -> list[Json] | None:
    found: list[Json] = []
    for line in body.splitlines():
        value = parse(line)
        if not isinstance(value, dict) or "done" not in value:
            return None
        found.append(value)
    return found


def _events(body: bytes) -> list[Json] | None:
    events: list[Json] = []
    announced = ""
    for line in body.splitlines():
        name, _, value = line.partition(b":")
        data = value.removeprefix(b" ")
        if name == b"event" and not announced:
            announced = data.decode(errors="replace")
        elif name == b"data":
            event = parse(data) if data != END.encode() else END
            if event is None or (announced and not _is_of_type(event, announced)):
                return None
            announced = ""
            if event != END:
                events.append(event)
        elif line:
            return None
    return None if announced else events


def _is_of_type(event: Json, name: str) -> bool:
    """Whether the name of an event tells nothing that its data does not."""
    return isinstance(event, dict) and event.get("type") == name


def _texts(value: Json, place: tuple[str, ...], *, is_delta: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    match value:
        case Number():
            return
        case str() if is_delta:
            yield place, value
        case dict():
            index = value.get("index")
            own = (index,) if isinstance(index, Number) and not place else ()
            for key, item in value.items():
                if not (is_delta and key == "type"):
                    yield from _texts(item, (*own, *place, key), is_delta=is_delta or key == "delta")
        case list():
            for position, item in enumerate(value):
                index = item.get("index") if isinstance(item, dict) else None
                name = index if isinstance(index, Number) else str(position)
                yield from _texts(item, (*place, name), is_delta=is_delta)
        case _:
            return
