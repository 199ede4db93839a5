"""What is exported is read by others: HAR's own schema, OpenTelemetry's messages, asciinema's loader, and
OCSF's own schema. Every way in which a session can end, or be, is among what they read."""

from __future__ import annotations

import base64
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from asciinema.asciicast.v2 import open_from_file  # type: ignore[import-untyped]  # it has no types
from google.protobuf import json_format
from jsonschema import Draft6Validator, Draft202012Validator
from ocsf_json_schema import (  # type: ignore[import-untyped]  # it has no types
    OcsfJsonSchemaEmbedded,
    get_ocsf_schema,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from referencing import Registry
from referencing.jsonschema import DRAFT6
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session
from tests.servers.review_people import NOW, PEOPLE

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload

SCHEMAS = Path(__file__).parent / "schemas"
REQUEST = b'{"model":"llama","messages":[{"role":"user","content":"Hello"}]}'
JSON = {"content-type": "application/json"}
SESSIONS = {
    "ses_answered": {},
    "ses_binary": {},
    "ses_denied": {"decision": "deny", "status": "denied", "rule": "no-keys"},
    "ses_held": {"decision": "hold", "status": "held", "hold": "hld_1", "ended_at": None},
    "ses_rejected": {"decision": "hold", "status": "rejected", "hold": "hld_2"},
    "ses_cut_answer": {"decision": "deny", "status": "refused", "rule": "no-aws-keys"},
    "ses_erased": {"caller": None, "prompt_tokens": None, "completion_tokens": None},
    "ses_unread": {"model": "", "rule": "", "decision": "deny", "status": "refused", "caller": None},
    "ses_open": {"decision": "", "rule": "", "status": "open", "ended_at": None, "prompt_tokens": None},
}


@pytest.fixture(autouse=True)
def _record(review: Review) -> None:
    review.store.past = {
        name: make_session(name, **changes)  # type: ignore[arg-type]  # a table of several types
        for name, changes in SESSIONS.items()
    }
    headers = json.dumps(JSON).encode()
    caller = {"caller": caller_payload(PEOPLE["alice"]), "headers": headers}
    started: dict[str, Any] = {"status": 200, "headers": {"content-type": "text/plain"}}
    for name in SESSIONS:
        review.store.recorded.append(EntryDraft(Kind.REQUEST_RECEIVED, name, {"size": 70}, caller))
    for name in ("ses_answered", "ses_binary", "ses_cut_answer", "ses_erased"):
        review.store.recorded += [
            EntryDraft(Kind.REQUEST_DECIDED, name, {"effect": "allow", "findings": {"PERSON": 2}}),
            EntryDraft(Kind.REQUEST_RELEASED, name, {}, {"body": REQUEST}),
            EntryDraft(Kind.ANSWER_STARTED, name, started),
        ]
    review.store.recorded += [
        EntryDraft(Kind.ANSWER_RELEASED, "ses_answered", {"masked": {}}, {"body": "Grüße\n".encode()}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_answered", {"masked": {"PERSON": 1}}, {"body": b"<PERSON>"}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_binary", {"masked": {}}, {"body": b"Hi \xff"}),
        EntryDraft(Kind.ANSWER_REFUSED, "ses_cut_answer", {"code": "answer_denied", "status": 403}),
        EntryDraft(Kind.HOLD_OPENED, "ses_held", {"hold": "hld_1"}, {"forward": REQUEST}),
        EntryDraft(Kind.HOLD_OPENED, "ses_rejected", {"hold": "hld_2"}, {"forward": REQUEST}),
        EntryDraft(Kind.HOLD_REJECTED, "ses_rejected", {"hold": "hld_2"}),
        EntryDraft(Kind.REQUEST_REFUSED, "ses_rejected", {"code": "hold_rejected", "status": 403}),
        EntryDraft(Kind.REQUEST_REFUSED, "ses_denied", {"code": "request_denied", "status": 403}),
        EntryDraft(Kind.REQUEST_REFUSED, "ses_unread", {"code": "body_unreadable", "status": 400}),
    ]


def exported(terminal: Terminal, form: str, *words: str) -> str:
    result = terminal.type("session", "export", "--format", form, *words, person="ada")
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def har_validator() -> Draft6Validator:
    schemas = json.loads((SCHEMAS / "har-1.2.json").read_text())["schemas"]
    named = [(schema["$id"].rstrip("#"), DRAFT6.create_resource(schema)) for schema in schemas.values()]
    registry: Registry[Any] = Registry().with_resources(named)
    return Draft6Validator(schemas["har.json"], registry=registry)


def test_an_archive_is_one_by_the_schema_of_har(terminal: Terminal) -> None:
    validator = har_validator()
    archive = json.loads(exported(terminal, "har"))
    assert [error.message for error in validator.iter_errors(archive)] == []
    assert len(archive["log"]["entries"]) == len(SESSIONS)
    for entry in archive["log"]["entries"]:
        assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
    del archive["log"]["entries"][0]["response"]["content"]
    assert not validator.is_valid(archive)


def test_spans_are_messages_of_opentelemetry(terminal: Terminal) -> None:
    spans = {}
    for line in lines(exported(terminal, "otlp")):
        [span, *_] = _message(line).resource_spans[0].scope_spans[0].spans
        named = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
        spans[named["gen_ai.conversation.id"]] = span, named
    assert set(spans) == set(SESSIONS)
    for span, named in spans.values():
        assert (len(span.trace_id), len(span.span_id), span.kind) == (16, 8, Span.SPAN_KIND_SERVER)
        assert span.end_time_unix_nano >= span.start_time_unix_nano == int(NOW) * 10**9
        assert (span.status.code == Status.STATUS_CODE_ERROR) == ("error.type" in named)
    answered, attributes = spans["ses_answered"]
    assert answered.status.code == Status.STATUS_CODE_OK
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.operation.name"]) == (3, "chat")


def _message(line: Any) -> ExportTraceServiceRequest:
    """From OTLP's JSON, in which ids are hexadecimal where protobuf's own has base64."""
    for spans in line["resourceSpans"][0]["scopeSpans"]:
        for span in spans["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in span:
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(line, ExportTraceServiceRequest())


def test_events_are_what_the_schema_of_ocsf_has(terminal: Terminal) -> None:
    """By the published schema, in which no object has names but those that OCSF knows."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
    name = schema.lookup_class_name_from_uid(class_uid=6003)
    validator = Draft202012Validator(schema.get_class_schema(name, profiles=["security_control"]))
    events = {event["metadata"]["uid"]: event for event in lines(exported(terminal, "ocsf"))}
    assert set(events) == set(SESSIONS)
    for event in events.values():
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)] == []
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    changes: list[dict[str, Any]] = [{"metadata": {}}, {"model": "llama"}, {"action_id": 77}, {"actor": {}}]
    for wrong in changes:
        assert not validator.is_valid({**events["ses_answered"], **wrong})


def test_an_event_says_denied_whenever_something_was_stopped(terminal: Terminal) -> None:
    """A held request that was rejected once counted as allowed, since no rule denied it."""
    unknown, allowed, denied = 0, 1, 2
    actions = {e["metadata"]["uid"]: e["action_id"] for e in lines(exported(terminal, "ocsf"))}
    assert actions == {
        "ses_answered": allowed,
        "ses_binary": allowed,
        "ses_erased": allowed,
        "ses_denied": denied,
        "ses_rejected": denied,
        "ses_cut_answer": denied,
        "ses_unread": denied,
        "ses_held": unknown,
        "ses_open": unknown,
    }


def test_a_recording_is_loaded_by_asciinema(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "one.cast"
    exported(terminal, "asciicast", "ses_answered", "-o", str(file))
    text = file.read_text()
    first, _, rest = text.partition("\n")
    with open_from_file(first, io.StringIO(rest)) as cast:
        assert (cast.version, cast.v2_header["timestamp"]) == (2, int(NOW))
        events = list(cast.events("o"))
    assert "Hello" in "".join(written for _, _, written in events)
