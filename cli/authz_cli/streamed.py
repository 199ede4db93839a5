"""A streamed answer as its reader saw it: the pieces of each text, joined."""

from __future__ import annotations

from collections.abc import Iterator

from authz_cli.outline import Json, Number, parse

END = "[DONE]"


def joined(body: bytes) -> dict[str, str] | None:
    """Each text of a stream of events (SSE) by its place, such as `choices/0/delta/content`.

    Texts are the strings below a `delta`; an element of a list counts by its `index`, if it has one.
    None for what is no such stream from its first byte to its last, or has no text in it.
    """
    texts: dict[str, str] = {}
    events = _events(body)
    if events is None:
        return None
    for event in events:
        for place, text in _texts(event, (), is_delta=False):
            key = "/".join(place)
            texts[key] = texts.get(key, "") + text
    return texts or None


def _events(body: bytes) -> list[Json] | None:
    events: list[Json] = []
    for line in body.splitlines():
        if not line:
            continue
        name, _, value = line.partition(b":")
        if name != b"data":
            return None
        data = value.removeprefix(b" ")
        if data == END.encode():
            continue
        event = parse(data)
        if event is None:
            return None
        events.append(event)
    return events


def _texts(value: Json, place: tuple[str, ...], *, is_delta: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    match value:
        case Number():
            return
        case str() if is_delta:
            yield place, value
        case dict():
            for key, item in value.items():
                yield from _texts(item, (*place, key), is_delta=is_delta or key == "delta")
        case list():
            for position, item in enumerate(value):
                index = item.get("index") if isinstance(item, dict) else None
                name = index if isinstance(index, Number) else str(position)
                yield from _texts(item, (*place, name), is_delta=is_delta)
        case _:
            return
