"""What may not be on record is nowhere in the data directory: tokens, headers that carry them, secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from tests.e2e.people import approve, ask, chat, hold_of, in_background, reject, said
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import completion, stream

CANARY = "canary7f3a"
EMAIL = f"{CANARY}.request@example.com"
HELD_EMAIL = f"{CANARY}.held@example.com"
ANSWER_EMAIL = f"{CANARY}.answer@example.org"
CARD = "4111 1111 1111 1111"
STREAMED_IBAN = "DE89370400440532013000"
AWS_KEY = "AKIAIOSFODNN7EXAMPLE"
PRIVATE_KEY = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdpcanary"
PEM = f"-----BEGIN PRIVATE KEY-----\n{PRIVATE_KEY}\n-----END PRIVATE KEY-----"
HEADER = f"{CANARY}-header"
QUERY = f"{CANARY}-query"
SECRETS = (EMAIL, HELD_EMAIL, ANSWER_EMAIL, CARD, STREAMED_IBAN, AWS_KEY, PRIVATE_KEY, HEADER, QUERY, CANARY)


@dataclass(frozen=True)
class Run:
    """A gateway after a run with canaries, and the tokens that were used in it."""

    stack: Stack
    staff: str
    contractor: str
    reviewer: str

    @property
    def export(self) -> Path:
        """The record as an auditor gets it: what is sealed in the database is in clear there."""
        return self.stack.folder / "export"

    def files(self) -> dict[Path, bytes]:
        """Every file of the data directory and of the export, and what was printed."""
        found = [path for path in self.stack.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.stack.folder): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Stack(tmp_path_factory.mktemp("record")) as stack:
        reviewer = stack.token("rita", "reviewers", review=True)
        run = Run(stack, stack.token("ann", "staff"), stack.token("cal", "contractors"), reviewer)
        ask_and_be_answered(run)
        ask_beside_the_point(run)
        ask_and_be_held(run)
        stack.cli("audit", "export", str(run.export), "--config", str(stack.config_file))
        yield run


def ask_and_be_answered(run: Run) -> None:
    stack, client = run.stack, run.stack.sdk(api_key=run.staff, max_retries=0)
    stack.upstream.answer_with(completion(f"Write to {ANSWER_EMAIL}, or pay with {CARD}."))
    assert (
        said(ask(client, f"The harmless text. I am {EMAIL}"))
        == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD]."
    )
    stack.upstream.answer_with(stream(["Pay to ", *STREAMED_IBAN, ", or ask ", *ANSWER_EMAIL]))
    streamed = client.chat.completions.create(model="llama", messages=chat("And?")["messages"], stream=True)
    words = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert words == "Pay to [IBAN_CODE], or ask [EMAIL_ADDRESS]"
    with pytest.raises(openai.PermissionDeniedError, match="Private keys"):
        ask(client, f"Is this fine? {PEM} {EMAIL}")
    stack.upstream.answer_with(completion(f"It is {AWS_KEY}"))
    with pytest.raises(openai.PermissionDeniedError, match="had a key"):
        ask(client, "Which key?")


def ask_beside_the_point(run: Run) -> None:
    """Tokens in every header that may have one, secrets where nobody should send them."""
    stack, staff = run.stack, run.staff
    for key in ("x-api-key", "api-key"):
        headers = {key: staff, "cookie": HEADER, "x-note": HEADER, "user-agent": EMAIL}
        address = f"{stack.url}/v1/chat/completions?note={QUERY}"
        assert (
            httpx.post(address, json=chat("By another header"), headers=headers, timeout=60).status_code
            == 200
        )
    address = f"{stack.url}/v1/chat/completions"
    bad = {"authorization": f"Bearer {staff}{CANARY}"}
    assert httpx.post(address, json=chat("?"), headers=bad, timeout=60).status_code == 401
    for path in (f"/v1/of/{EMAIL}", f"/v1/of/{EMAIL.replace('@', '%40')}"):
        assert httpx.get(f"{stack.url}{path}", headers={"x-api-key": staff}, timeout=60).status_code == 404
    headers = {"x-api-key": staff, "content-type": "application/json"}
    unread = httpx.post(address, content=f'{{"note": "{EMAIL}"', headers=headers, timeout=60)
    assert unread.status_code == 400


def ask_and_be_held(run: Run) -> None:
    client = run.stack.sdk(api_key=run.contractor, max_retries=0)
    for text in ("Held", "Held again"):
        waiting = in_background(lambda text=text: ask(client, f"{text}, from {HELD_EMAIL}"))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        hold = hold_of(run.stack, "cal")
        assert HELD_EMAIL not in run.stack.cli("hold", "show", hold["id"], token=run.reviewer).stdout
        if text == "Held":
            approve(run.stack, hold, token=run.reviewer)
            assert said(waiting.result(60))
        else:
            reject(run.stack, hold, "No.")
            assert isinstance(waiting.exception(60), openai.PermissionDeniedError)


TEXTS = ("The harmless text. I am [EMAIL_ADDRESS]", "Write to [EMAIL_ADDRESS]", "Held, from [EMAIL")


def test_the_search_finds_what_is_on_record(run: Run) -> None:
    everything = b"".join(run.files().values())
    for text in TEXTS:
        assert text.encode() in everything


def test_what_was_asked_and_answered_is_in_clear_in_the_export_alone(run: Run) -> None:
    for path, content in run.files().items():
        if run.export.name not in path.parts:
            assert not [text for text in TEXTS if text.encode() in content], path


def test_no_secret_is_in_any_file(run: Run) -> None:
    for path, content in run.files().items():
        for secret in SECRETS:
            assert secret.encode() not in content, (path, secret)


def test_no_token_is_in_any_file_nor_a_header_that_had_one(run: Run) -> None:
    for path, content in run.files().items():
        for token in (run.staff, run.contractor, run.reviewer):
            assert token.encode() not in content, path
            assert token.rpartition(".")[2].encode() not in content, f"the signature is in {path}"
        if path.name.startswith("authz.db") or path.suffix == ".log":
            for name in (b"authorization", b"api-key", b"bearer ", b"cookie"):
                assert name not in content.lower(), (path, name)


def test_a_session_shows_bodies_as_they_crossed_and_nothing_from_before(run: Run) -> None:
    sessions = run.stack.cli_json("session", "list", "--limit", "100")
    shown = [run.stack.session(session["id"]) for session in sessions]
    for session in shown:
        assert not [secret for secret in SECRETS if secret in json.dumps(session)]
    first = next(s for s in shown if "The harmless text" in (s["request"] or ""))
    assert json.loads(first["request"])["messages"][0]["content"] == "The harmless text. I am [EMAIL_ADDRESS]"
    answer = json.loads(first["answer"])["choices"][0]["message"]["content"]
    assert answer == "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD]."
    assert first["request"].encode() == run.stack.upstream.requests[0].body
    events = [event for session in shown for event in session["events"]]
    (decided,) = [e for e in events if e["kind"] == "request.decided" and e["data"]["effect"] == "deny"]
    assert "[PRIVATE_KEY]" in decided["payloads"][0]["body"]
    assert decided["data"]["findings"] == {"EMAIL_ADDRESS": 1, "PRIVATE_KEY": 1}


def test_all_that_lies_in_the_data_directory_is_its_owners_alone(run: Run) -> None:
    data = run.stack.data
    for path in (data, *data.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_neither_is_anything_in_the_files_after_the_stop(run: Run) -> None:
    run.stack.stop()
    try:
        test_the_search_finds_what_is_on_record(run)
        test_no_secret_is_in_any_file(run)
        test_no_token_is_in_any_file_nor_a_header_that_had_one(run)
    finally:
        run.stack.start()
