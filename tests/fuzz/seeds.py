"""What fuzzing begins with: the wire traffic, values of every entity type, and hostile scraps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fuzz.bodies import operations
from tests.fuzz.documents import places
from tests.masking.values import ENTITIES, placed

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"
_FEW = 14
"""Documents in which each place has a seed of its own."""
_EVEN = bytes([5, 0, 3, 16, 1, 2, 8, 4])
_HOSTILE = (
    b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'["\\ud83d\\ude00","\\ud83d"]', b"[1e999,-0,1E-7,0.1e1]",
    b"[9007199254740993,123456789012345678901234567890]", b"\xef\xbb\xbf{}", b'{"a\\u0000b":null}',
    b"[[[[[[[[1]]]]]]]]", b'{"model":"llama"} x', b"NaN", b'"\\/\\b\\f"',
    b'{"Messages":[],"messages\\u0000":1}',
)  # fmt: skip
_STREAMS = (
    b"data: a\r\rdata: b\r\n\r\ndata:c\n\n", b":\n\n: x\n\nid: 1\ndata: a\ndata: b\n\n",
    b"event: a\nevent: b\ndata\n\n",
    b"\xef\xbb\xbfdata: a\n\n", b"\n\ndata: \xf0\x9f\x98\x80\n\n", b"data:  two\n\nretry: 5\n\n",
)  # fmt: skip

_FIELD = b'--cut\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
_FILE = _FIELD.replace(b'"%b"', b'"file"; filename="a.wav"\r\nContent-Type: audio/wav', 1)
_FORMS = (
    _FILE % b"RIFF\r\n\0\xff" + _FIELD % (b"model", b"llama")
    + _FIELD % (b"prompt", b"Hello\r\nthere") + b"--cut--\r\n",
    _FIELD % (b"a[]", b"") + _FIELD % (b"a[]", b"1\n--cut2") + b"--cut--",
    _FIELD % (b"a", b"--cut") + _FIELD % (b"b", b"x\r--cut--") + b"--cut--\r\n",
    _FIELD % (b"a", b"1") + b"--cut--\r\nafter",
    b"before\r\n" + _FIELD % (b"a", b"1") + b"--cut --\r\n",
)  # fmt: skip


def documents() -> Iterator[Any]:
    """Every document of the wire traffic, each a whole body or one frame of a stream."""
    for file in sorted(WIRE.glob("*.json")):
        yield json.loads(file.read_text())
    for file in sorted(WIRE.glob("*.sse")):
        for line in file.read_text().splitlines():
            if line.startswith("data: {"):
                yield json.loads(line[6:])


def seeds(target: str) -> Iterator[bytes]:
    """Inputs of a target."""
    match target:
        case "json":
            yield from _HOSTILE
            for document in _distinct():
                yield json.dumps(document, ensure_ascii=False).encode()
        case "sse":
            yield from (_EVEN + stream for stream in _STREAMS)
            yield from (_EVEN + file.read_bytes()[:2000] for file in sorted(WIRE.glob("*.sse")))
        case "ndjson":
            yield from (_EVEN + json.dumps(d).encode() + b"\n{}\r\n\n1" for d in _distinct())
        case "form":
            yield from _FORMS
        case "request" | "answer":
            for number in range(len(operations())):
                for i, document in enumerate((*_requests(), *_distinct())):
                    for place in range(len(places(document)) if i < _FEW else 1):
                        yield bytes([number, 0, place % 256, place % 256]) + json.dumps(document).encode()
        case _:
            for entity, values in ENTITIES.items():
                for value in values:
                    before, after = placed(entity, value)
                    said = f"{before}{value}{after}"
                    said = json.dumps({"a": said, "n": [1, 2.5]}) if target == "embedded" else said
                    yield (b"\3" if target == "dialect" else b"") + _EVEN + said.encode()


def _distinct() -> list[Any]:
    """One document of each shape."""
    by_shape = {repr(_shape(document)): document for document in documents()}
    return [document for document in by_shape.values() if len(json.dumps(document)) < 4000]


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def _requests() -> Iterator[Any]:
    """The least that each operation asks for."""
    message = {"role": "user", "content": "Hello"}
    yield {"model": "llama", "messages": [message], "max_tokens": 9, "stream": True, "tools": []}
    yield {"model": "llama", "prompt": "Hello", "suffix": "there", "options": {"stop": ["a"]}, "system": "b"}
    yield {"model": "llama", "input": ["Hello", "there"], "metadata": {"a": "b"}}
    yield {"model": "llama", "input": [{**message, "type": "message"}], "instructions": "Be brief"}
    yield {"inputs": "Hello", "parameters": {"stop": ["a"], "grammar": {"type": "regex", "value": "b"}}}
    yield {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Hello"]}], "id": "7"}
    yield {"text_input": "Hello", "max_tokens": 9, "parameters": {"stop_words": "a"}}
    yield {"input_prefix": "a", "input_suffix": "b", "input_extra": [{"filename": "c", "text": "d"}]}
    yield {"message": {"role": "assistant", "content": "a", "thinking": "b"}, "done": True, "context": [1]}
    yield {
        "model_name": "llama",
        "outputs": [{"name": "o", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
    }
    yield {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": {}}
    yield {"token": {"id": 1, "text": "a", "special": False}, "generated_text": "a", "details": {"seed": 1}}
    yield {"model_name": "llama", "model_version": "1", "text_output": "a"}


def words() -> list[str]:
    """Keys that an API means something by, as the wire traffic has them, and in disguise."""
    found: set[str] = set()
    for document in (*_distinct(), *_requests()):
        _keys(document, found)
    return [*sorted(found), "Messages", "prompt\0", "\u017ftop", "unknown", ""]


def _keys(value: Any, found: set[str]) -> None:
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _keys(item, found)
    if isinstance(value, dict):
        found |= value.keys()


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.5, 2**53 + 1, "", "a", "llama", "text", "user", [], {}, [1, 2], ["a", "b"],
    [[1]], {"type": "text", "text": "a"}, {"role": "user", "content": "a"}, {"a": "b"},
    "data:text/plain;base64,YQ==",
    "https://a.example/b", {"url": "a"}, {"type": "image_url", "image_url": {"url": "data:,a"}},
]  # fmt: skip
