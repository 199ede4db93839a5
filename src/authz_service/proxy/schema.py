"""Checks an Envoy file against Envoy's own messages, field by field, and says where each fault is."""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_args, get_type_hints

from authz_service.proxy.faults import Path, Report

_URL = "type.googleapis.com/"
_PACKAGE = re.compile(r"(envoy|xds|udpa)(\.[a-z0-9_]+)+")
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_DEEPEST = 64


class _Field(NamedTuple):
    """`proto_type` and `kind` are those of the field, of each of its items, or of each value of its map."""

    proto_type: str
    kind: Any
    is_list: bool
    is_map: bool


def check_schema(document: Any, report: Report) -> None:
    """Report every field that `envoy.config.bootstrap.v3.Bootstrap` does not know or takes otherwise.

    Fields are written as in Envoy's documentation (snake_case): a second spelling could hide from
    the checks that follow. Imports Envoy's types, which takes about half a second.
    """
    _check_message(_type("envoy.config.bootstrap.v3", "Bootstrap"), document, (), report)


def _check_message(kind: Any, value: Any, path: Path, report: Report) -> None:
    if len(path) > _DEEPEST:
        report.add("too_deep", path, "nested too deeply")
        return
    if not isinstance(value, Mapping):
        report.add("wrong_type", path, f"expected a mapping ({kind.__name__}), got {_shown(value)}")
        return
    name = kind.__name__
    if kind.__module__ == "envoy_data_plane.google.protobuf":
        if name == "Any":
            _check_any(value, path, report)
        elif name != "Struct":  # a Struct holds any JSON
            report.add("wrong_type", path, f"a {name} is not read here")
        return
    known = _fields(kind)
    for key, item in value.items():
        here = (*path, key)
        field = known.get(key)
        if field is None:
            report.add("unknown_field", here, f"Envoy's {name} has no such field (names are in snake_case)")
        else:
            _check_field(field, item, here, report)


@cache
def _fields(kind: Any) -> dict[Any, _Field]:
    """A message's fields. Its own table of them resolves all type hints anew for each (0.3 s of a start)."""
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]), {})
    return {field.name: _field(field, hints[field.name]) for field in dataclasses.fields(kind)}


def _field(field: dataclasses.Field[Any], hint: Any) -> _Field:
    meta = field.metadata["betterproto"]
    within = get_args(hint)  # of Optional[kind], list[kind] and dict[str, kind]
    if meta.proto_type == "map":
        return _Field(meta.map_meta[1].proto_type, within[1], is_list=False, is_map=True)
    return _Field(meta.proto_type, within[0] if within else hint, is_list=meta.repeated, is_map=False)


def _check_any(value: Mapping[Any, Any], path: Path, report: Report) -> None:
    url = value.get("@type")
    if not isinstance(url, str):
        report.add("unknown_type", path, "an extension needs its @type")
        return
    package, _, name = url.removeprefix(_URL).rpartition(".")
    kind = _type(package, name) if url.startswith(_URL) and _PACKAGE.fullmatch(package) else None
    if kind is None:
        report.add("unknown_type", (*path, "@type"), f"Envoy has no type {url!r}")
        return
    _check_message(kind, {k: v for k, v in value.items() if k != "@type"}, path, report)


def _check_field(field: _Field, value: Any, path: Path, report: Report) -> None:
    if field.is_map:
        if not isinstance(value, Mapping):
            report.add("wrong_type", path, f"expected a mapping, got {_shown(value)}")
            return
        for name, item in value.items():
            _check_value(field, item, (*path, name), report)
    elif field.is_list:
        if not isinstance(value, Sequence) or isinstance(value, str):
            report.add("wrong_type", path, f"expected a list, got {_shown(value)}")
            return
        for index, item in enumerate(value):
            _check_value(field, item, (*path, index), report)
    else:
        _check_value(field, value, path, report)


def _check_value(field: _Field, value: Any, path: Path, report: Report) -> None:
    kind = field.kind
    if field.proto_type == "enum":
        if not isinstance(value, str) or value not in _names(kind):
            report.add("wrong_type", path, f"expected one of {', '.join(_names(kind))}; got {_shown(value)}")
    elif field.proto_type == "message" and dataclasses.is_dataclass(kind):
        _check_message(kind, value, path, report)
    elif not _is_scalar(kind, value):
        report.add("wrong_type", path, f"expected {_expected(kind)}, got {_shown(value)}")


def _is_scalar(kind: Any, value: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is timedelta:
        return isinstance(value, str) and bool(_DURATION.fullmatch(value))
    return kind in (str, bytes, datetime) and isinstance(value, str)


def _expected(kind: Any) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        timedelta: 'a duration ("1.5s")',
    }
    return names.get(kind, "a string")


def _names(kind: type[Enum]) -> list[str]:
    renamed = kind.betterproto_value_to_renamed_proto_names()  # type: ignore[attr-defined]  # betterproto2's
    return sorted({renamed.get(member.value, member.name) for member in kind})


def _type(package: str, name: str) -> Any:
    """The class of a message, or None; imports its module, which registers it."""
    try:
        with warnings.catch_warnings():
            # The generated classes use a form of validators that pydantic deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module(f"envoy_data_plane.{package}")
    except ImportError:
        return None
    return module.default_message_pool.url_to_type.get(f"{_URL}{package}.{name}")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
