"""Our schema of Envoy's messages says, field by field, what envoy-data-plane says."""

from __future__ import annotations

import dataclasses
import inspect
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from authz_service.servers.wire import base_pb2, ext_authz_pb2, ext_proc_pb2, methods

with warnings.catch_warnings():
    # envoy-data-plane is written for an older pydantic; its own warnings are not about us.
    warnings.simplefilter("ignore")
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc_filter
    from envoy_data_plane.envoy.service.auth import v3 as auth
    from envoy_data_plane.envoy.service.ext_proc import v3 as ext_proc
    from envoy_data_plane.envoy.type import v3 as http
    from envoy_data_plane.google import rpc

FILES = (base_pb2.DESCRIPTOR, ext_authz_pb2.DESCRIPTOR, ext_proc_pb2.DESCRIPTOR)
OURS_TO_THEIRS = {"RpcStatus": "Status"}
# Enums travel as int32; ours keeps the number, since the HTTP status codes need no names.
ENUMS_KEPT_AS_NUMBERS = {("HttpStatus", "code")}
SOURCES = (ext_proc, auth, core, http, rpc, ext_proc_filter)


def _messages(descriptors: Any) -> Iterator[Descriptor]:
    for descriptor in descriptors:
        if not descriptor.GetOptions().map_entry:
            yield descriptor
            yield from _messages(descriptor.nested_types)


def _all_messages() -> list[Descriptor]:
    return [m for file in FILES for m in _messages(file.message_types_by_name.values())]


def _all_enums() -> list[EnumDescriptor]:
    return [e for message in _all_messages() for e in message.enum_types]


def _short(descriptor: Descriptor | EnumDescriptor) -> str:
    return descriptor.full_name.removeprefix("authz.envoy.").replace(".", "")


def _theirs(name: str) -> Any:
    name = OURS_TO_THEIRS.get(name, name)
    found = [getattr(source, name) for source in SOURCES if hasattr(source, name)]
    assert len(found) == 1, f"{name} should be in exactly one of Envoy's packages"
    return found[0]


def _their_fields(message: Any) -> dict[str, Any]:
    return {field.name: field.metadata["betterproto"] for field in dataclasses.fields(message)}


def _type_name(field: FieldDescriptor) -> str:
    names = {
        number: name.removeprefix("TYPE_").lower()
        for name, number in vars(FieldDescriptor).items()
        if name.startswith("TYPE_") and isinstance(number, int)
    }
    return names[field.type]


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    target = field.message_type
    return target if target is not None and target.GetOptions().map_entry else None


def _annotation(message: Any, name: str) -> str:
    return str(inspect.get_annotations(message)[name])


def _check_field(message: Descriptor, ours: FieldDescriptor) -> None:
    theirs_class = _theirs(_short(message))
    theirs = _their_fields(theirs_class)[ours.name]
    assert theirs.number == ours.number
    assert theirs.group == (ours.containing_oneof.name if ours.containing_oneof else None)
    entry = _map_entry(ours)
    if entry is not None:
        types = (_type_name(entry.fields_by_name["key"]), _type_name(entry.fields_by_name["value"]))
        assert (theirs.proto_type, tuple(part.proto_type for part in theirs.map_meta)) == ("map", types)
        return
    assert theirs.repeated == ours.is_repeated
    if (_short(message), ours.name) in ENUMS_KEPT_AS_NUMBERS:
        assert (theirs.proto_type, _type_name(ours)) == ("enum", "int32")
        return
    assert theirs.proto_type == _type_name(ours)
    target = ours.message_type or ours.enum_type
    if target is not None and target.full_name.startswith("authz.envoy."):
        name = OURS_TO_THEIRS.get(_short(target), _short(target))
        assert name in re.findall(r"\w+", _annotation(theirs_class, ours.name))


FIELDS = [pytest.param(m, f, id=f"{_short(m)}.{f.name}") for m in _all_messages() for f in m.fields]


@pytest.mark.parametrize(("message", "field"), FIELDS)
def test_each_field_has_envoys_number_type_and_oneof(message: Descriptor, field: FieldDescriptor) -> None:
    _check_field(message, field)


@pytest.mark.parametrize("enum", [pytest.param(e, id=_short(e)) for e in _all_enums()])
def test_each_enum_has_envoys_values(enum: EnumDescriptor) -> None:
    theirs = {member.name: member.value for member in _theirs(_short(enum))}
    assert {value.name: value.number for value in enum.values} == theirs


@pytest.mark.parametrize(
    "message", [ext_proc.ProcessingRequest, ext_proc.ProcessingResponse, ext_proc.ProtocolConfiguration]
)
def test_no_kind_of_processing_message_is_left_out(message: Any) -> None:
    ours = ext_proc_pb2.DESCRIPTOR.message_types_by_name[message.__name__].fields_by_name
    optional = {"override_message_timeout", "request_drain"}  # we send neither
    assert set(_their_fields(message)) - optional == set(ours)


def test_the_method_paths_are_those_that_envoy_calls() -> None:
    assert list(auth.AuthorizationBase().__mapping__()) == [methods.CHECK]
    assert list(ext_proc.ExternalProcessorBase().__mapping__()) == [methods.PROCESS]


def test_a_field_that_we_do_not_know_is_skipped() -> None:
    newer = ext_proc.ProcessingRequest(
        request_headers=ext_proc.HttpHeaders(
            headers=core.HeaderMap(headers=[core.HeaderValue(key=":path", raw_value=b"/v1/models")])
        ),
        attributes={},
    )
    unknown_field = b"\xfa\x3f\x03new"  # field 1023, three bytes
    read = ext_proc_pb2.ProcessingRequest.FromString(bytes(newer) + unknown_field)
    assert read.WhichOneof("request") == "request_headers"
    assert read.request_headers.headers.headers[0].raw_value == b"/v1/models"


def test_the_files_are_registered_under_our_own_package_so_that_no_other_can_replace_them() -> None:
    for file in FILES:
        assert isinstance(file, FileDescriptor)
        assert file.package == "authz.envoy"
        assert file.name.startswith("authz_service/servers/wire/")
