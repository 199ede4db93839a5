"""The streams of every model API: the dialects that the properties have, and some of other paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.inspection.dialects.base import Dialect, Said, compact, documents, event
from tests.inspection.dialects.llamacpp import LLAMACPP
from tests.inspection.test_answer_dialects import DIALECTS

from authz_service.model_apis.ollama import Ollama
from authz_service.model_apis.open_inference import OpenInference

_VARIANTS = {"-tokens": ", with log probabilities", "bare_": ", without a response around it"}
_PATHS = {name: f"/v2/models/llama/{name}" for name in ("generate_stream", "infer_stream")}


@dataclass(frozen=True, slots=True)
class Stream:
    """A dialect's stream at a path; `variant` tells it from others there."""

    path: str
    dialect: Dialect
    variant: str = ""


def _tell_generate(pieces: Sequence[Said]) -> bytes:
    lines = [{"model": "llama", "response": "", name: text, "done": False} for name, text in pieces]
    end = {"model": "llama", "response": "", "done": True, "done_reason": "stop"}
    return "".join(f"{compact(line)}\n" for line in (*lines, end)).encode()


def _hear_generate(stream: bytes) -> Mapping[str, str]:
    lines = [json.loads(line) for line in stream.decode().split("\n") if line]
    return {name: "".join(line.get(name, "") for line in lines) for name in ("response", "thinking")}


def _tell_triton(pieces: Sequence[Said]) -> bytes:
    return b"".join(event({"model_name": "llama", "text_output": text}) for _, text in pieces)


def _hear_triton(stream: bytes) -> Mapping[str, str]:
    return {"text_output": "".join(document["text_output"] for document in documents(stream))}


_GENERATE = Dialect(
    Ollama(),
    "generate",
    ("response", "thinking"),
    _tell_generate,
    _hear_generate,
    content_type="application/x-ndjson",
)
_TRITON = Dialect(OpenInference(), "generate_stream", ("text_output",), _tell_triton, _hear_triton)
_INFILL = replace(LLAMACPP, operation="infill")


def streams() -> list[Stream]:
    """All of them."""
    return [_placed(dialect) for dialect in (*DIALECTS, _GENERATE, _INFILL, _TRITON)]


def _placed(dialect: Dialect) -> Stream:
    name, variant = dialect.operation, ""
    for mark, said in _VARIANTS.items():
        if mark in name:
            name, variant = name.replace(mark, ""), said
    path = next(operation.path for operation in dialect.api.operations if operation.name == name)
    return Stream(_PATHS[name] if "{" in path else path, dialect, variant)
