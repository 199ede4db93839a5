"""What conditions may look at, declared as protobuf messages so that the type checker knows each field.

Maps would switch the checker off: `caller.grops` would compile and be false for ever. Only what has no
shape of its own (claims, parameters) is a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from authz_service.policy.conditions import Phase

PACKAGE: Final = "authz.rules"
FREE_FORM: Final = ".google.protobuf.Struct"

_Field = descriptor_pb2.FieldDescriptorProto
STRING: Final = _Field.TYPE_STRING
INTEGER: Final = _Field.TYPE_INT64
BOOLEAN: Final = _Field.TYPE_BOOL

PERSON_FIELDS: Final[Mapping[str, Any]] = {
    "subject": STRING,
    "issuer": STRING,
    "groups": [STRING],
    "groups_complete": BOOLEAN,
    "person": STRING,
    "claims": FREE_FORM,
}
REQUEST_FIELDS: Final[Mapping[str, Any]] = {
    "api": STRING,
    "operation": STRING,
    "model": STRING,
    "stream": BOOLEAN,
    "tools": [STRING],
    "token_estimate": INTEGER,
    "choices": INTEGER,
    "parameters": FREE_FORM,
    "system_text": STRING,
    "user_text": STRING,
    "assistant_text": STRING,
    "tool_text": STRING,
    "other_text": STRING,
    "new_turn": STRING,
    "unread": [f".{PACKAGE}.Unread"],
}
UNREAD_FIELDS: Final[Mapping[str, Any]] = {
    "kind": STRING,
    "type": STRING,
    "declared": STRING,
    "mismatch": BOOLEAN,
    "scheme": STRING,
    "size": INTEGER,
    "sha256": STRING,
    "path": STRING,
}
HELD_FIELDS: Final[Mapping[str, Any]] = {
    "api": STRING,
    "operation": STRING,
    "model": STRING,
    "rule": STRING,
}
CALL_FIELDS: Final[Mapping[str, Any]] = {"method": STRING, "path": STRING}

VARIABLES: Final[Mapping[Phase, Mapping[str, str | None]]] = {
    Phase.REQUESTS: {"caller": "Person", "request": "Request", "findings": "Findings", "now": None},
    Phase.ANSWERS: {
        "caller": "Person",
        "request": "Request",
        "findings": "Findings",
        "answer": "Answer",
        "now": None,
    },
    Phase.PATHS: {"caller": "Person", "call": "Call", "now": None},
    Phase.PEOPLE: {"person": "Person"},
    Phase.STAGES: {"person": "Person", "caller": "Person", "request": "Held", "findings": "Findings"},
}
"""The message of each variable; None is a timestamp."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The message classes, the names of all their fields, and one typed environment for each phase."""

    messages: Mapping[str, Any]
    fields: frozenset[str]
    environments: Mapping[Phase, Any]


def schema(entities: Iterable[str]) -> Schema:
    """Declare everything, with a field in `findings` for each entity type, in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    struct = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct)
    pool.Add(struct)
    shapes: dict[str, Mapping[str, Any]] = {
        "Person": PERSON_FIELDS,
        "Request": REQUEST_FIELDS,
        "Unread": UNREAD_FIELDS,
        "Call": CALL_FIELDS,
        "Held": HELD_FIELDS,
        "Found": {"count": INTEGER},
        "Findings": dict.fromkeys(sorted(entities), f".{PACKAGE}.Found"),
        "Answer": {"findings": f".{PACKAGE}.Findings"},
    }
    pool.Add(_file(shapes))
    messages = {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in shapes
    }
    return Schema(
        messages, frozenset().union(*shapes.values()), {phase: _environment(pool, phase) for phase in Phase}
    )


def _file(shapes: Mapping[str, Mapping[str, Any]]) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="authz/rules.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/struct.proto"],
    )
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for number, (field_name, kind) in enumerate(fields.items(), start=1):
            is_list = isinstance(kind, list)
            kind = kind[0] if is_list else kind
            label = _Field.LABEL_REPEATED if is_list else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type = _Field.TYPE_MESSAGE
                field.type_name = kind
            else:
                field.type = kind
    return file


def _environment(pool: descriptor_pool.DescriptorPool, phase: Phase) -> Any:
    types = {
        name: cel.Type.TIMESTAMP if message is None else cel.Type(f"{PACKAGE}.{message}")
        for name, message in VARIABLES[phase].items()
    }
    return cel.NewEnv(descriptor_pool=pool, variables=types)
