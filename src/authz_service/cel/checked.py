"""The engine's checked syntax tree (cel/expr/checked.proto, cel/expr/syntax.proto).

Only the fields that are looked at are declared; protobuf keeps the others, so that a part of a tree can
be handed back to the engine for evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_Field = descriptor_pb2.FieldDescriptorProto
_STRING, _BOOL, _INT32, _INT64 = _Field.TYPE_STRING, _Field.TYPE_BOOL, _Field.TYPE_INT32, _Field.TYPE_INT64
_PACKAGE: Final = "authz.cel"

# name, number, type (a message's name or a scalar), repeated, in the message's oneof
_SHAPES: Final[dict[str, list[tuple[str, int, Any, bool, bool]]]] = {
    "CheckedExpr": [("expr", 4, "Expr", False, False), ("source_info", 5, "SourceInfo", False, False)],
    "SourceInfo": [("positions", 4, "Position", True, False)],
    "Position": [("key", 1, _INT64, False, False), ("value", 2, _INT32, False, False)],
    "Expr": [
        ("id", 2, _INT64, False, False),
        ("const_expr", 3, "Constant", False, True),
        ("ident_expr", 4, "Ident", False, True),
        ("select_expr", 5, "Select", False, True),
        ("call_expr", 6, "Call", False, True),
        ("list_expr", 7, "CreateList", False, True),
        ("struct_expr", 8, "CreateStruct", False, True),
        ("comprehension_expr", 9, "Comprehension", False, True),
    ],
    "Constant": [("string_value", 6, _STRING, False, True)],
    "Ident": [("name", 1, _STRING, False, False)],
    "Select": [("operand", 1, "Expr", False, False), ("field", 2, _STRING, False, False)],
    "Call": [
        ("target", 1, "Expr", False, False),
        ("function", 2, _STRING, False, False),
        ("args", 3, "Expr", True, False),
    ],
    "CreateList": [("elements", 1, "Expr", True, False)],
    "CreateStruct": [("message_name", 1, _STRING, False, False), ("entries", 2, "Entry", True, False)],
    "Entry": [("map_key", 3, "Expr", False, False), ("value", 4, "Expr", False, False)],
    "Comprehension": [
        ("iter_var", 1, _STRING, False, False),
        ("iter_range", 2, "Expr", False, False),
        ("accu_var", 3, _STRING, False, False),
        ("accu_init", 4, "Expr", False, False),
        ("loop_condition", 5, "Expr", False, False),
        ("loop_step", 6, "Expr", False, False),
        ("result", 7, "Expr", False, False),
        ("iter_var2", 8, _STRING, False, False),
    ],
}


class TooComplex(Exception):
    """A tree that is nested deeper than it can be looked through."""


class CheckedTree:
    """A checked expression: `root` is its top node, nodes are protobuf messages of `_SHAPES`."""

    def __init__(self, serialized: bytes) -> None:
        """Read what `Expression.serialize()` gave; raises `TooComplex`."""
        try:
            self._envelope = any_pb2.Any.FromString(serialized)
            self._checked = _CHECKED.FromString(self._envelope.value)
        except DecodeError as error:
            raise TooComplex from error
        self.root = self._checked.expr
        self._positions = {entry.key: entry.value for entry in self._checked.source_info.positions}

    def offset(self, node: Any) -> int:
        """Where a node stands in the text, in characters from its start."""
        return int(self._positions.get(node.id, 0))

    def only(self, node: Any) -> bytes:
        """The same expression cut down to one of its nodes, for `Env.deserialize()`."""
        part = _CHECKED()
        part.CopyFrom(self._checked)
        part.expr.CopyFrom(node)
        return any_pb2.Any(
            type_url=self._envelope.type_url, value=part.SerializeToString()
        ).SerializeToString()


def children(node: Any) -> Iterator[Any]:
    """The nodes directly below a node, in the order of the text."""
    match node.WhichOneof("kind"):
        case "select_expr":
            yield node.select_expr.operand
        case "call_expr":
            if node.call_expr.HasField("target"):
                yield node.call_expr.target
            yield from node.call_expr.args
        case "list_expr":
            yield from node.list_expr.elements
        case "struct_expr":
            for entry in node.struct_expr.entries:
                if entry.HasField("map_key"):
                    yield entry.map_key
                yield entry.value
        case "comprehension_expr":
            loop = node.comprehension_expr
            yield from (loop.iter_range, loop.accu_init, loop.loop_condition, loop.loop_step, loop.result)
        case _:
            return


def walk(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def bound_names(node: Any) -> frozenset[str]:
    """The variables that a loop binds; empty for every other node."""
    if node.WhichOneof("kind") != "comprehension_expr":
        return frozenset()
    loop = node.comprehension_expr
    return frozenset({loop.iter_var, loop.iter_var2, loop.accu_var} - {""})


def free_names(node: Any) -> frozenset[str]:
    """The variables that a part of a tree needs from outside of it."""
    if node.WhichOneof("kind") == "ident_expr":
        return frozenset({node.ident_expr.name})
    below: set[str] = set()
    for child in children(node):
        below |= free_names(child)
    return frozenset(below) - bound_names(node)


def constant_string(node: Any) -> str | None:
    """The value of a string literal; None for everything else."""
    if node.WhichOneof("kind") == "const_expr" and node.const_expr.HasField("string_value"):
        return str(node.const_expr.string_value)
    return None


def _declare() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="authz/cel.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SHAPES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, is_repeated, is_choice in fields:
            label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
            if is_choice:
                if not message.oneof_decl:
                    message.oneof_decl.add(name="kind")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.CheckedExpr"))


_CHECKED: Final = _declare()
