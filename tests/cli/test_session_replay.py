"""A replay tells an exchange in its order and at its pace, and a terminal obeys nothing in it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session
from tests.servers.review_people import NOW, PEOPLE

from authz_api.v1 import sessions_pb2
from authz_cli.safe_text import safe_line
from authz_cli.session_replay import Shown, frames, paced
from authz_cli.session_story import Story
from authz_cli.streamed import Pieces, joined
from authz_cli.typist import Typist
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.servers.review_messages import session_message, timestamp

PROMPT = b'{"model":"llama","messages":[{"role":"user","content":"Hello\\u001b[2J"}]}'
VOTER = json.dumps({"voter": ["iss", "rita"], "name": "Rita"}).encode()


def delta(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


TOLD: list[tuple[float, Kind, dict[str, Any], dict[str, bytes]]] = [
    (0.0, Kind.REQUEST_RECEIVED, {}, {"caller": caller_payload(PEOPLE["alice"])}),
    (0.5, Kind.REQUEST_DECIDED, {"effect": "hold", "rule": "contractors", "rules": ["contractors"]}, {}),
    (0.5, Kind.HOLD_OPENED, {"hold": "hld_1"}, {"forward": PROMPT}),
    (3600.5, Kind.HOLD_VOTED, {"verdict": "approve"}, {"voter": VOTER, "reason": b"Fine."}),
    (3600.5, Kind.HOLD_APPROVED, {}, {}),
    (3601.0, Kind.REQUEST_RELEASED, {}, {"body": PROMPT}),
    (3602.0, Kind.ANSWER_STARTED, {"status": 200}, {}),
    (3602.0, Kind.ANSWER_RELEASED, {"masked": {}}, {"body": delta("One ")[:20]}),
    (3602.5, Kind.ANSWER_RELEASED, {"masked": {}}, {"body": delta("One ")[20:] + delta("two\nthr")}),
    (3604.0, Kind.ANSWER_RELEASED, {"masked": {}}, {"body": delta("ee\x1b[31m") + b"data: [DONE]\n\n"}),
    (3604.0, Kind.EXCHANGE_ENDED, {"outcome": "completed"}, {}),
    (9999.0, Kind.SESSION_READ, {}, {"reader": caller_payload(PEOPLE["ada"])}),
]


def story() -> Story:
    return Story.of(
        [
            sessions_pb2.Entry(
                kind=kind,
                at=timestamp(NOW + at),
                data=json.dumps(data),
                payloads=[sessions_pb2.Payload(name=name, body=body) for name, body in payloads.items()],
            )
            for at, kind, data, payloads in TOLD
        ]
    )


def played(*, prompt: bool = True, answer: bool = True, width: int = 100) -> list[tuple[float, str]]:
    session = session_message(make_session())
    shown = frames(session, story(), width=width, shown=Shown(prompt, answer))
    return [(frame.at, frame.text) for frame in shown]


def test_an_exchange_is_told_in_its_order_with_its_times() -> None:
    text = "".join(text for _, text in played())
    told = [
        "alice asks llama by POST /v1/chat/completions",
        "Hello␛[2J",
        "decided: hold by rule contractors",
        "held: it waits for people",
        "1 h 0 min] vote: for, by Rita, saying: Fine.",
        "approved",
        "released to the model",
        "the model answers, status 200",
        "  ├ choices/0/delta/content:\n  │ One two\n  │ three␛[31m\n",
        "over: completed",
    ]
    places = [text.find(line) for line in told]
    assert -1 not in places, text
    assert places == sorted(places)
    assert "\x1b" not in text
    assert [at for at, _ in played()] == sorted(at for at, _ in played())
    assert "session.read" not in text


def test_the_answer_comes_in_the_pieces_in_which_it_came() -> None:
    pieces = [(at, text) for at, text in played(prompt=False) if 3602.4 < at < 3604.1]
    assert pieces[:2] == [
        (3602.5, "  ├ choices/0/delta/content:\n  │ One two\n  │ thr"),
        (3604.0, "ee␛[31m\n"),
    ]


def test_what_is_not_asked_for_is_not_shown() -> None:
    assert "Hello" not in "".join(text for _, text in played(prompt=False))
    assert "three" not in "".join(text for _, text in played(answer=False))


def test_waits_are_as_they_were_faster_or_cut_with_a_word() -> None:
    session = session_message(make_session())

    def waits(speed: float, longest: float | None) -> list[tuple[float, str]]:
        told = frames(session, story(), width=100, shown=Shown())
        return [(wait, frame.text) for wait, frame in paced(told, speed=speed, longest=longest)]

    assert sum(wait for wait, _ in waits(1.0, None)) == 3604.0
    assert sum(wait for wait, _ in waits(4.0, None)) == 901.0
    assert [wait for wait, _ in waits(1.0, 5.0)][:4] == [0.0, 0.5, 0.0, 5.0]
    assert waits(1.0, 5.0)[3][1].startswith("... 1 h 0 min later\n")


@given(st.lists(st.text(max_size=30)), st.integers(10, 60))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(pieces: list[str], width: int) -> None:
    typist = Typist(width)
    shown = "".join(typist.type("p", piece) for piece in pieces) + typist.end()
    lines = shown.split("\n")
    assert all(line.startswith(("  │ ", "  ├ ")) for line in lines[:-1])
    assert lines[-1] == ""
    assert all(len(line) <= max(width, 25) for line in lines)
    typed = "".join(line.removeprefix("  │ ") for line in lines if line.startswith("  │ "))
    # A mark that begins a piece is spelled out: compared is what has no marks.
    if all(char.isascii() for piece in pieces for char in piece):
        assert typed == "".join(safe_line(line) for piece in pieces for line in piece.split("\n"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)), st.data())
def test_a_stream_cut_anywhere_has_the_texts_of_the_whole(texts: list[str], data: st.DataObject) -> None:
    body = b"".join(map(delta, texts)) + b"data: [DONE]\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = Pieces()
    found: dict[str, str] = {}
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        for place, text in pieces.feed(body[start:end]):
            found[place] = found.get(place, "") + text
    assert found == (joined(body) or {})


@pytest.fixture
def _record(review: Review) -> None:
    review.store.past = {"ses_1": make_session("ses_1")}
    review.store.recorded = [EntryDraft(kind, "ses_1", data, payloads) for _, kind, data, payloads in TOLD]


@pytest.mark.usefixtures("_record")
def test_the_command_plays_and_the_reading_is_recorded(terminal: Terminal, review: Review) -> None:
    played = terminal.type("session", "replay", "ses_1", "--max-wait", "0", person="ada")
    assert (played.exit_code, "over: completed" in played.stdout) == (0, True)
    assert review.store.recorded[-1].kind is Kind.SESSION_READ
    only = terminal.type("session", "replay", "ses_1", "--what", "prompt", "--speed", "100", person="ada")
    assert ("Hello" in only.stdout, "three" in only.stdout) == (True, False)
    assert terminal.type("session", "replay", "ses_1", "--speed", "0", person="ada").exit_code == 2
    assert terminal.type("session", "replay", "ses_1", person="rita").exit_code == 5


@pytest.mark.usefixtures("_record")
def test_a_recording_is_an_asciicast_in_a_file_that_is_closed_to_others(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "one.cast"
    assert (
        terminal.type(
            "session", "export", "ses_1", "--format", "asciicast", "-o", str(file), person="ada"
        ).exit_code
        == 0
    )
    header, *events = map(json.loads, file.read_text().splitlines())
    assert (header["version"], header["width"], header["timestamp"]) == (2, 100, int(NOW))
    assert all(kind == "o" and isinstance(at, float) for at, kind, _ in events)
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    text = "".join(text for _, _, text in events)
    assert "over: completed\r\n" in text
    assert "\n" not in text.replace("\r\n", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = terminal.type(
        "session", "export", "ses_1", "--format", "asciicast", "-o", str(file), person="ada"
    )
    assert (again.exit_code, "cannot write" in again.stderr) == (2, True)
