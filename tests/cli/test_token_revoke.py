"""`authz token revoke`, `restore` and `revoked`, by operators, at a running review API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.cli.conftest import Terminal
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import running
from tests.servers.review_people import NOW
from tests.servers.revocation_fakes import ISSUER, MemoryRevocations, token_review

from authz_service.core.revocations import Revoked, RevokedBy

MONTH = 30 * 86_400.0
TOKEN = Revoked(ISSUER, RevokedBy.TOKEN, "tok-1")
ALICE = Revoked(ISSUER, RevokedBy.SUBJECT, "alice")
WHY = ("--reason", "laptop lost")


@pytest.fixture
def store() -> MemoryRevocations:
    return MemoryRevocations(lambda: NOW)


@pytest.fixture
def terminal(store: MemoryRevocations, review_thread: LoopThread, tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "run"
    folder.mkdir()
    with running(review_thread, folder, tokens=token_review(store)) as review:
        yield Terminal({"AUTHZ_SERVER": review.address, "TZ": "UTC"})


def test_a_token_is_withdrawn_for_as_long_as_it_could_live(
    terminal: Terminal, store: MemoryRevocations
) -> None:
    said = terminal.type("token", "revoke", "--issuer", ISSUER, "--jti", "tok-1", *WHY, person="olga")
    assert (said.exit_code, said.output.startswith("withdrawn: the token tok-1, 20")) == (0, True)
    revocation = store.rows[TOKEN]
    assert (revocation.until, revocation.reason, revocation.name) == (NOW + MONTH, "laptop lost", "olga")
    assert store.refreshed == 1


def jwt_of(claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{part}.c2ln\n"


def test_a_token_that_was_found_somewhere_is_withdrawn_by_itself(
    terminal: Terminal, store: MemoryRevocations, tmp_path: Path
) -> None:
    file = tmp_path / "leaked"
    file.write_text(jwt_of({"iss": ISSUER, "jti": "tok-1", "sub": "alice"}))
    said = terminal.type("token", "revoke", "--token-file", str(file), *WHY, person="olga")
    assert (said.exit_code, list(store.rows)) == (0, [TOKEN])
    store.rows.clear()
    piped = terminal.type(
        "token", "revoke", "--token-file", "-", *WHY, person="olga", answer=file.read_text()
    )
    assert (piped.exit_code, list(store.rows)) == (0, [TOKEN])


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        (jwt_of({"iss": ISSUER}), (), "has no id"),
        (jwt_of({"iss": ISSUER, "jti": 7}), (), "has no id"),
        (jwt_of({"jti": "x"}), (), "holds no token"),
        (jwt_of(["x"]), (), "holds no token"),
        ("sk-proj-s3cret", (), "holds no token"),
        ("a.s3cret.b", (), "holds no token"),
        ("", (), "holds no token"),
        (jwt_of({"iss": ISSUER, "jti": "x"}), ("--subject", "alice"), "by itself"),
    ],
)
def test_what_is_no_token_withdraws_nothing_and_is_not_repeated(
    terminal: Terminal,
    store: MemoryRevocations,
    tmp_path: Path,
    content: str,
    more: tuple[str, ...],
    message: str,
) -> None:
    file = tmp_path / "leaked"
    file.write_text(content)
    said = terminal.type("token", "revoke", "--token-file", str(file), *more, *WHY, person="olga")
    assert (said.exit_code, message in said.output) == (2, True), said.output
    assert "s3cret" not in said.output
    assert store.rows == {}


def test_a_subject_is_withdrawn_until_restored(terminal: Terminal, store: MemoryRevocations) -> None:
    named = ("--issuer", ISSUER, "--subject", "alice", *WHY)
    assert "until restored" in terminal.type("token", "revoke", *named, person="olga").output
    assert store.rows[ALICE].until is None
    assert terminal.type("token", "restore", *named, person="olga").output == "restored: all of alice\n"
    assert store.rows == {}
    again = terminal.type("token", "restore", *named, person="olga")
    assert (again.exit_code, "no such tokens" in again.output) == (3, True)
    assert store.refreshed == 2


def test_what_is_withdrawn_is_listed(terminal: Terminal) -> None:
    assert terminal.type("token", "revoked", person="olga").output == "nothing is withdrawn\n"
    until = ("--until", "2100-01-01T00:00:00+01:00")
    named = ("--issuer", ISSUER, "--subject", "al\x1b[2Jice".replace("\x1b[2J", "-"), *until, *WHY)
    terminal.type("token", "revoke", *named, person="olga")
    (found,) = terminal.json("token", "revoked", person="olga")
    assert (found["issuer"], found["subject"], found["jti"]) == (ISSUER, "al-ice", None)
    assert (found["until"], found["reason"]) == ("2099-12-31T23:00:00Z", "laptop lost")
    listed = terminal.type("token", "revoked", person="olga").output
    assert "all of al-ice" in listed
    assert "laptop lost" in listed


def test_each_change_is_recorded_without_a_name_in_the_entry(
    terminal: Terminal, store: MemoryRevocations
) -> None:
    named = ("--issuer", ISSUER, "--subject", "alice", *WHY)
    terminal.type("token", "revoke", *named, person="olga")
    terminal.type("token", "restore", *named, person="olga")
    assert [draft.kind.value for draft in store.recorded] == ["token.revoked", "token.restored"]
    for draft in store.recorded:
        assert draft.data == {"issuer": ISSUER, "by": "sub", "until": None}
        assert orjson.loads(draft.payloads["revoked"]) == {"value": "alice", "reason": "laptop lost"}
        assert orjson.loads(draft.payloads["operator"])["subject"] == "olga"


@pytest.mark.parametrize(
    ("words", "person", "exit_code", "message"),
    [
        (("--jti", "x", *WHY), "rita", 5, "only operators"),
        (("--jti", "x", *WHY), "ada", 5, "only operators"),
        (("--jti", "x", *WHY), "bob", 5, "none of the roles"),
        (("--jti", "x", *WHY), "nobody", 5, "not valid"),
        (("--jti", "x", "--subject", "y", *WHY), "olga", 2, "either"),
        (WHY, "olga", 2, "either"),
        (("--jti", "x"), "olga", 2, "--reason"),
        (("--jti", "x", "--reason", "  "), "olga", 2, "give a reason"),
        (("--jti", "x" * 513, *WHY), "olga", 2, "printable characters"),
        (("--jti", "a\x07b", *WHY), "olga", 2, "printable characters"),
        (("--jti", "x", "--until", "2001-01-01", *WHY), "olga", 2, "in the future"),
        (("--jti", "x", "--until", "soon", *WHY), "olga", 2, "not a time"),
    ],
)
def test_what_is_not_permitted_or_not_clear_changes_nothing(
    terminal: Terminal,
    store: MemoryRevocations,
    words: tuple[str, ...],
    person: str,
    exit_code: int,
    message: str,
) -> None:
    done = terminal.type("token", "revoke", "--issuer", ISSUER, *words, person=person)
    assert (done.exit_code, message in done.output) == (exit_code, True), done.output
    assert store.rows == {}
    assert store.recorded == []


def test_an_issuer_must_be_one_that_is_trusted(terminal: Terminal, store: MemoryRevocations) -> None:
    for words in ((), ("--issuer", "https://id.example/")):
        done = terminal.type("token", "revoke", *words, "--jti", "x", *WHY, person="olga")
        assert (done.exit_code, "https://id.example, urn:other" in done.output) == (2, True), done.output
    assert store.rows == {}


def test_nobody_but_operators_sees_what_is_withdrawn(terminal: Terminal) -> None:
    assert terminal.type("token", "revoked", person="ada").exit_code == 5


def test_a_store_that_is_away_is_said_to_be(terminal: Terminal, store: MemoryRevocations) -> None:
    store.is_away = True
    done = terminal.type("token", "revoke", "--issuer", ISSUER, "--jti", "x", *WHY, person="olga")
    assert done.exit_code == 6
