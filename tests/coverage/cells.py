"""One cell of the table: a field of a model API, whole or streamed, tried with every entity type."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from tests.coverage.events import AT_ONCE, BEGINNINGS, IN_PIECES
from tests.coverage.fields import ANSWERS, FORMS, HOLE, JSON_HOLE, REQUESTS, holes
from tests.coverage.log_probabilities import TOKENED, Tokened
from tests.coverage.streams import streams
from tests.fuzz.documents import Place, value_at, with_value
from tests.inspection.dialects.base import Dialect
from tests.masking.values import ENTITIES, placed

from authz_service.framing.multipart import read_form
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.masking.detectors import build_scanner, builtin_names
from authz_service.masking.seams import Scanner
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView
from authz_service.view.unread import Kind, require_permitted

PIECE = 3
"""Characters that an event of a stream says."""
LIMITS: dict[str, Any] = {"max_body": 1 << 20, "max_depth": 64}

Through = Callable[[str], str]
"""From a text that stands in the field to what the other side reads there."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`mode` is "request", "whole" or "streamed"."""

    path: str
    field: str
    mode: str
    through: Through

    def __repr__(self) -> str:
        return f"{self.path} {self.field} {self.mode}"


@cache
def scanner() -> Scanner:
    """Every detector that there is."""
    return build_scanner()


def entity_types() -> list[str]:
    """All of them, by name."""
    return sorted(builtin_names())


def leaks(cell: Cell, entity: str) -> str:
    """What is wrong when a value of this entity type crosses; "" when nothing is."""
    value = ENTITIES[entity][0]
    before, after = placed(entity, value)
    heard = cell.through(f"{before}{value}{after}")
    if value in heard:
        return f"{entity} crossed"
    if not (heard.startswith(before[:6]) and heard.endswith(after[-7:]) and "[" in heard):
        return f"{entity}: the text around it changed"
    return ""


def cells() -> Iterator[Cell]:
    """Every cell, in the order of the page."""
    for path, fields in REQUESTS.items():
        for field, document in fields.items():
            yield Cell(path, field, "request", partial(_asked, path, document))
    for path, names in FORMS.items():
        for name in names:
            yield Cell(path, name, "request", partial(_formed, path, name))
    for path, fields in ANSWERS.items():
        for field, document in fields.items():
            yield Cell(path, field, "whole", partial(_answered, path, document))
    for path, tokened in TOKENED.items():
        yield Cell(path, "text, with log probabilities", "whole", partial(_tokened, path, tokened))
    for stream in streams():
        for field in stream.dialect.fields:
            through = partial(_streamed, stream.dialect, field)
            yield Cell(stream.path, f"{field}{stream.variant}", "streamed", through)
    for events, size in ((IN_PIECES, PIECE), (AT_ONCE, None)):
        for path, fields in events.items():
            for field, document in fields.items():
                yield Cell(path, field, "streamed", partial(_told, path, document, size))


def _route(path: str) -> tuple[ModelApi, Operation]:
    route = find_operation("POST", path)
    assert route is not None, path
    return route


def _filled(document: Any, text: str) -> tuple[Place, bytes]:
    (path,) = holes(document)
    place = Place(path)
    is_json = value_at(document, place) == JSON_HOLE
    return place, json.dumps(
        with_value(document, place, json.dumps({"note": text}) if is_json else text)
    ).encode()


def _read(document: Any, body: bytes, place: Place) -> str:
    said = str(value_at(json.loads(body), place))
    return said if value_at(document, place) == HOLE else str(json.loads(said)["note"])


def _asked(path: str, document: Any, text: str) -> str:
    place, body = _filled(document, text)
    return _read(document, _forwarded(path, body), place)


def _formed(path: str, name: str, text: str) -> str:
    recording = base64.b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=")
    said = {"model": "llama", name: text}
    fields = [f'form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in said.items()]
    fields.append(b'form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n' + recording)
    body = b"".join(b"--cut\r\nContent-Disposition: %b\r\n" % field for field in fields) + b"--cut--\r\n"
    form = read_form(_forwarded(path, body, "multipart/form-data; boundary=cut"), "cut")
    return next(part.text for part in form.parts if part.name == name)


def _forwarded(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    api, operation = _route(path)
    inspected = inspect_request(
        body,
        api=api,
        operation=operation,
        scanner=scanner(),
        masked_entities=builtin_names(),
        models={"llama": "llama"},
        noise=(),
        max_depth=64,
        content_type=content_type,
    )
    require_permitted(inspected.view.unread, {Kind.AUDIO})
    return inspected.forward


def _answered(path: str, document: Any, text: str) -> str:
    place, body = _filled(document, text)
    return _read(document, _answer(path, body), place)


def _tokened(path: str, tokened: Tokened, text: str) -> str:
    return tokened.read(json.loads(_answer(path, json.dumps(tokened.answer(text)).encode())))


def _answer(path: str, body: bytes) -> bytes:
    api, operation = _route(path)
    view = RequestView(api.name, operation.name, "llama", False, (), tools=("find",))
    return _released(api, view, "application/json", [body])


def _streamed(dialect: Dialect, field: str, text: str) -> str:
    is_json = field == dialect.arguments
    said = json.dumps({"note": text}) if is_json else text
    pieces = [(field, said[i : i + PIECE]) for i in range(0, len(said), PIECE)]
    stream = dialect.tell(pieces).splitlines(keepends=True)
    heard = dialect.hear(_released(dialect.api, dialect.request, dialect.content_type, stream))[field]
    return str(json.loads(heard)["note"]) if is_json else heard


def _told(path: str, document: Any, size: int | None, text: str) -> str:
    """`size`: characters that an event says, or all of them in one."""
    api, operation = _route(path)
    is_lines = path.startswith("/api/")
    (place,) = map(Place, holes(document))
    is_json = value_at(document, place) == JSON_HOLE
    said = json.dumps({"note": text}) if is_json else text
    step = size or len(said)
    told = [with_value(document, place, said[i : i + step]) for i in range(0, len(said), step)]
    events = [*([BEGINNINGS[path]] if path in BEGINNINGS else ()), *told]
    before, after = ("", "\n") if is_lines else ("data: ", "\n\n")
    stream = [f"{before}{json.dumps(event)}{after}".encode() for event in events]
    view = RequestView(api.name, operation.name, "llama", True, (), tools=("find",))
    released = _released(api, view, "application/x-ndjson" if is_lines else "text/event-stream", stream)
    lines = [line.removeprefix(before) for line in released.decode().split("\n") if line]
    heard = "".join(str(value_at(json.loads(line), place) or "") for line in lines[-len(told) :])
    return str(json.loads(heard)["note"]) if is_json else heard


def _released(api: ModelApi, view: RequestView, content_type: str, pieces: list[bytes]) -> bytes:
    pipe = answer_pipe(
        api=api,
        request=view,
        content_type=content_type,
        scanner=scanner(),
        masked_entities=builtin_names(),
        **LIMITS,
    )
    return b"".join(step.release for step in (*map(pipe.feed, pieces), pipe.finish()))
