"""What is exported has the shape that other programs read, and one session is in memory at a time."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session
from tests.servers.review_people import NOW, PEOPLE

from authz_cli import session_client
from authz_cli.session_client import SessionClient
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.errors import Unauthenticated
from authz_service.servers import review_messages, review_sessions

REQUEST = b'{"model":"llama","messages":[{"role":"user","content":"Hello"}]}'
HEADERS = b'{"content-type":"application/json"}'


@pytest.fixture(autouse=True)
def _record(review: Review) -> None:
    review.store.past = {
        "ses_1": make_session("ses_1", hold="hld_1"),
        "ses_2": make_session("ses_2", decision="deny", status="denied", rule="no-keys", caller=None),
        "ses_3": make_session(
            "ses_3", ended_at=None, status="open", prompt_tokens=None, completion_tokens=None
        ),
    }
    caller = {"caller": caller_payload(PEOPLE["alice"]), "headers": HEADERS}
    review.store.recorded = [
        EntryDraft(Kind.REQUEST_RECEIVED, "ses_1", {"size": 70}, caller),
        EntryDraft(Kind.REQUEST_DECIDED, "ses_1", {"effect": "hold", "findings": {"PERSON": 2}}),
        EntryDraft(Kind.HOLD_OPENED, "ses_1", {"hold": "hld_1"}, {"forward": REQUEST}),
        EntryDraft(Kind.HOLD_APPROVED, "ses_1", {"hold": "hld_1"}),
        EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {}, {"body": REQUEST}),
        EntryDraft(Kind.ANSWER_STARTED, "ses_1", {"status": 200, "headers": {"content-type": "text/plain"}}),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {"masked": {}}, {"body": b"Hi \xff"}),
        EntryDraft(Kind.EXCHANGE_ENDED, "ses_1", {"outcome": "completed"}),
        EntryDraft(Kind.REQUEST_REFUSED, "ses_2", {"code": "request_denied", "status": 403}),
    ]


def exported(terminal: Terminal, form: str, *words: str) -> str:
    result = terminal.type("session", "export", "--format", form, *words, person="ada")
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_lines_of_json_are_what_show_prints_and_each_reading_is_recorded(
    terminal: Terminal, review: Review
) -> None:
    third, second, first = lines(exported(terminal, "jsonl"))
    assert [s["id"] for s in (third, second, first)] == ["ses_3", "ses_2", "ses_1"]
    assert first["request"] == REQUEST.decode()
    read = [d.session for d in review.store.recorded if d.kind is Kind.SESSION_READ]
    assert read == ["ses_3", "ses_2", "ses_1"]


def test_filters_and_names_choose(terminal: Terminal) -> None:
    assert [s["id"] for s in lines(exported(terminal, "jsonl", "--decision", "deny"))] == ["ses_2"]
    assert [s["id"] for s in lines(exported(terminal, "jsonl", "ses_1"))] == ["ses_1"]


# HAR 1.2: the members that its specification does not call optional.
HAR_ENTRY = {"startedDateTime", "time", "request", "response", "cache", "timings"}
HAR_REQUEST = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}
HAR_RESPONSE = {
    *("status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"),
    *("headersSize", "bodySize"),
}


def test_an_archive_has_every_member_that_har_requires(terminal: Terminal) -> None:
    log = json.loads(exported(terminal, "har"))["log"]
    assert (log["version"], set(log["creator"])) == ("1.2", {"name", "version"})
    assert len(log["entries"]) == 3
    for entry in log["entries"]:
        assert entry.keys() >= HAR_ENTRY
        assert entry["request"].keys() >= HAR_REQUEST
        assert entry["response"].keys() >= HAR_RESPONSE
        assert entry["response"]["content"].keys() >= {"size", "mimeType"}
        timings = entry["timings"]
        assert timings.keys() >= {"send", "wait", "receive"}
        assert entry["time"] == sum(value for value in timings.values() if value != -1)
    first = log["entries"][-1]
    assert first["request"]["postData"] == {
        "mimeType": "application/json",
        "params": [],
        "text": REQUEST.decode(),
    }
    assert first["response"]["content"] == {
        "size": 4,
        "mimeType": "text/plain",
        "text": "SGkg/w==",
        "encoding": "base64",
    }
    assert [entry["response"]["status"] for entry in log["entries"]] == [0, 403, 200]


def test_an_archive_of_nothing_is_one(terminal: Terminal, review: Review) -> None:
    review.store.past = {}
    assert json.loads(exported(terminal, "har"))["log"]["entries"] == []


def test_spans_have_the_names_of_generative_ai_and_nothing_that_was_said(terminal: Terminal) -> None:
    text = exported(terminal, "otlp")
    open_, denied, held = [line["resourceSpans"][0]["scopeSpans"][0]["spans"] for line in lines(text)]
    exchange, hold = held
    named = {a["key"]: next(iter(a["value"].values())) for a in exchange["attributes"]}
    assert (named["gen_ai.request.model"], named["gen_ai.usage.input_tokens"]) == ("llama", "3")
    assert (len(exchange["traceId"]), len(exchange["spanId"])) == (32, 16)
    assert exchange["startTimeUnixNano"] == str(int(NOW) * 10**9)
    assert exchange["endTimeUnixNano"] == str(int(NOW + 2) * 10**9)
    assert (hold["parentSpanId"], hold["traceId"]) == (exchange["spanId"], exchange["traceId"])
    assert [spans[0]["status"]["code"] for spans in (open_, denied, held)] == [2, 2, 1]
    assert "Hello" not in text


def test_events_have_caller_and_findings_and_nothing_that_was_said(terminal: Terminal) -> None:
    text = exported(terminal, "ocsf")
    _, denied, held = lines(text)
    assert (denied["action_id"], denied["status_id"]) == (2, 2)
    assert (held["actor"]["user"]["uid"], held["unmapped"]["findings"]) == ("alice", {"PERSON": 2})
    assert "Hello" not in text


def test_a_file_is_new_and_closed_to_others(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    assert exported(terminal, "jsonl", "-o", str(file)) == ""
    assert (len(lines(file.read_text())), stat.S_IMODE(file.stat().st_mode)) == (3, 0o600)
    again = terminal.type("session", "export", "-o", str(file), person="ada")
    assert (again.exit_code, "cannot write" in again.stderr) == (2, True)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """The address of something that takes spans, and what it got; it refuses any other path."""
    got: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_spans_are_sent_to_a_collector(terminal: Terminal, collector: tuple[str, list[Any]]) -> None:
    url, got = collector
    assert exported(terminal, "otlp", "--otlp-endpoint", url) == ""
    assert len(got) == 3
    refused = terminal.type(
        "session", "export", "--format", "otlp", "--otlp-endpoint", f"{url}/x", person="ada"
    )
    assert (refused.exit_code, "did not take" in refused.stderr) == (6, True)


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "asciicast"),
        ("--otlp-endpoint", "http://localhost"),
        ("--format", "otlp", "--otlp-endpoint", "file:///etc/passwd"),
    ],
)
def test_what_cannot_be_meant_is_refused(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.type("session", "export", *words, person="ada").exit_code == 2


@pytest.mark.parametrize("form", ["jsonl", "har", "otlp", "ocsf"])
def test_what_no_message_carries_is_told_beside_an_export_that_is_without_it(
    terminal: Terminal, review: Review, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    large = b"x" * 10_000
    review.store.recorded.append(EntryDraft(Kind.REQUEST_RELEASED, "ses_3", {}, {"body": large}))
    sequence = len(review.store.recorded)
    what = f"body of entry {sequence} of session ses_3 is not in this export"
    missing = f"{what}: too large to be shown (10,000 bytes); authz audit export has it\n"
    for limit, told in ((len(large), ""), (len(large) - 1, missing)):
        monkeypatch.setattr(review_messages, "LARGEST_SHOWN", limit)
        result = terminal.type("session", "export", "--format", form, "ses_3", person="ada")
        assert (result.exit_code, result.stderr) == (0, told)
        assert ("xxx" in result.stdout) == (not told and form in ("jsonl", "har"))


class EarlierVersion(grpc.RpcError, grpc.Call):  # type: ignore[misc]  # grpc has no types of its errors
    """What is said of a call that there is not."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNIMPLEMENTED


def test_a_service_that_gives_one_session_at_a_time_is_asked_for_each(
    terminal: Terminal, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> Any:
        raise EarlierVersion

    monkeypatch.setattr(SessionClient, "_read_some", unknown)
    assert [s["id"] for s in lines(exported(terminal, "jsonl"))] == ["ses_3", "ses_2", "ses_1"]
    read = [d.session for d in review.store.recorded if d.kind is Kind.SESSION_READ]
    assert read == ["ses_3", "ses_2", "ses_1"]


def expiring(review: Review, monkeypatch: pytest.MonkeyPatch, *, after: int) -> list[int]:
    """Tokens that expire once so many sessions of a call were read; how many each call has read."""
    calls: list[int] = []
    store = review.store
    some_sessions, some_entries = store.some_sessions, store.some_entries

    async def begin(names: Sequence[str]) -> Any:
        calls.append(0)
        return await some_sessions(names)

    async def read(names: Sequence[str], *, most: int) -> Any:
        if calls[-1] == after:
            raise Unauthenticated("the token has expired; go on with a new one", code="token_expired")
        calls[-1] += 1
        return await some_entries(names, most=most)

    monkeypatch.setattr(review_sessions, "READ_BYTES", 0)
    monkeypatch.setattr(store, "some_sessions", begin)
    monkeypatch.setattr(store, "some_entries", read)
    return calls


@pytest.mark.parametrize(("after", "calls"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3])])
def test_a_token_that_expires_while_sessions_are_read_is_followed_by_the_next(
    after: int, calls: list[int], terminal: Terminal, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = expiring(review, monkeypatch, after=after)
    assert [s["id"] for s in lines(exported(terminal, "jsonl"))] == ["ses_3", "ses_2", "ses_1"]
    assert read == calls


def test_a_token_by_which_nothing_is_read_is_not_tried_for_ever(
    terminal: Terminal, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring(review, monkeypatch, after=0)
    result = terminal.type("session", "export", "--format", "jsonl", person="ada")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "the token has expired" in result.stderr


def test_all_is_exported_however_few_sessions_one_call_has(
    terminal: Terminal, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_client, "READ_AT_ONCE", 2)
    assert [s["id"] for s in lines(exported(terminal, "jsonl"))] == ["ses_3", "ses_2", "ses_1"]
