"""`authz key create`, `rotate`, `revoke` and `list`, by operators, at a running review API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.cli.conftest import Terminal
from tests.servers.key_fakes import HASHES, MemoryKeys, key_review
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import running
from tests.servers.review_people import NOW

from authz_service.core.api_keys import ApiKey

DAY = 86_400.0
MADE = ("key", "create", "--owner", "alice", "--model", "llama")
WHY = ("--reason", "was in a log")


@pytest.fixture
def store() -> MemoryKeys:
    return MemoryKeys(lambda: NOW)


@pytest.fixture
def terminal(store: MemoryKeys, review_thread: LoopThread, tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "run"
    folder.mkdir()
    with running(review_thread, folder, keys=key_review(store)) as review:
        yield Terminal({"AUTHZ_SERVER": review.address, "TZ": "UTC"})


def only(store: MemoryKeys) -> ApiKey:
    (key,) = store.keys.values()
    return key


def test_a_key_goes_alone_to_standard_output_and_what_it_is_beside(
    terminal: Terminal, store: MemoryKeys
) -> None:
    said = terminal.type(*MADE, "--group", "staff", "--group", "ci", person="olga")
    secret, key = said.stdout.strip(), only(store)
    assert (said.exit_code, said.stdout, key.hash) == (0, f"{secret}\n", HASHES.of(secret))
    assert key.id in said.stderr
    assert "not shown again" in said.stderr
    assert secret not in said.stderr
    assert (key.name, key.owner, key.groups, key.scope) == (
        key.id,
        "alice",
        ("staff", "ci"),
        ("model:llama",),
    )
    assert (key.created_at, key.expires_at, key.by, key.replaces) == (NOW, NOW + 90 * DAY, "olga", None)
    assert store.refreshed == 1


def test_a_scope_is_written_in_words(terminal: Terminal, store: MemoryKeys) -> None:
    words = ("--model", "gpt-4o", "--api", "anthropic", "--path", "/health", "--name", "ci.nightly-1")
    told = terminal.json(*MADE, *words, "--expires", "2026-12-31", person="olga")
    assert told["scope"] == ["model:llama", "model:gpt-4o", "api:anthropic", "path:/health"]
    assert (told["name"], told["expires_at"]) == ("ci.nightly-1", "2026-12-31T00:00:00Z")
    assert HASHES.of(told["secret"]) == only(store).hash


def test_an_entry_has_no_name_and_no_key(terminal: Terminal, store: MemoryKeys) -> None:
    secret = terminal.json(*MADE, "--name", "nightly", person="olga")["secret"]
    again = terminal.json("key", "rotate", "nightly", "--overlap", "1h", person="olga")
    terminal.type("key", "revoke", again["id"], *WHY, person="olga")
    assert [d.kind.value for d in store.recorded] == ["api_key.created", "api_key.rotated", "api_key.revoked"]
    created, rotated, revoked = store.recorded
    assert orjson.loads(created.payloads["key"]) == {"name": "nightly", "owner": "alice", "groups": []}
    assert rotated.data["replaced_until"] == int(NOW) + 3600
    assert orjson.loads(revoked.payloads["reason"]) == {"reason": "was in a log"}
    for draft in store.recorded:
        assert orjson.loads(draft.payloads["operator"])["subject"] == "olga"
        said = json.dumps(dict(draft.data))
        assert not [word for word in ("nightly", "alice", "olga", secret[10:], "log") if word in said]


def test_a_rotation_keeps_all_but_the_key_and_says_when_the_old_one_ends(
    terminal: Terminal, store: MemoryKeys
) -> None:
    old = terminal.json(*MADE, "--name", "nightly", "--group", "staff", person="olga")
    said = terminal.type("key", "rotate", "nightly", person="olga")
    assert said.exit_code == 0, said.output
    assert f"{old['id']} ends 2026-11-1" in said.stderr
    new = next(key for key in store.keys.values() if key.replaces == old["id"])
    assert (new.name, new.owner, new.groups, new.scope) == ("nightly", "alice", ("staff",), ("model:llama",))
    assert (new.hash, new.expires_at) == (HASHES.of(said.stdout.strip()), NOW + 90 * DAY)
    assert store.keys[old["id"]].expires_at == NOW + DAY
    several = terminal.type("key", "rotate", "nightly", person="olga")
    assert (several.exit_code, new.id in several.output, old["id"] in several.output) == (4, True, True)
    now = terminal.json("key", "rotate", new.id, "--overlap", "0", "--expires", "2026-12-01", person="olga")
    assert now["replaced_until"] <= "2026-11-18T11:06:40Z"
    assert store.keys[now["id"]].replaces == new.id


def test_a_key_is_revoked_by_its_id_and_by_its_name(terminal: Terminal, store: MemoryKeys) -> None:
    one = terminal.json(*MADE, "--name", "one", person="olga")
    two = terminal.json(*MADE, "--name", "two", person="olga")
    said = terminal.type("key", "revoke", one["id"], *WHY, person="olga")
    assert (said.exit_code, said.output) == (0, f"revoked: {one['id']} (one)\n")
    told = terminal.json("key", "revoke", "two", *WHY, person="olga")
    assert (told["id"], told["revoked_by"], told["reason"]) == (two["id"], "olga", "was in a log")
    assert all(key.revoked_at == NOW for key in store.keys.values())
    assert terminal.type("key", "revoke", "three", *WHY, person="olga").exit_code == 3
    assert terminal.type("key", "rotate", "one", person="olga").exit_code == 4


def test_keys_are_listed_without_those_that_have_ended_unless_asked_for(
    terminal: Terminal, store: MemoryKeys
) -> None:
    assert terminal.type("key", "list", person="olga").output == "no API key is in force\n"
    assert terminal.type("key", "list", "--all", person="olga").output == "there are no API keys\n"
    gone = terminal.json(*MADE, "--name", "gone", person="olga")
    terminal.type("key", "revoke", "gone", *WHY, person="olga")
    kept = terminal.json("key", "create", "--owner", "bob", "--model", "*", person="olga")
    assert [key["id"] for key in terminal.json("key", "list", person="olga")] == [kept["id"]]
    assert [key["id"] for key in terminal.json("key", "list", "--all", person="olga")] == [
        kept["id"],
        gone["id"],
    ]
    assert terminal.json("key", "list", "--all", "--owner", "alice", person="olga")[0]["id"] == gone["id"]
    listed = terminal.type("key", "list", "--all", person="olga").output
    assert "model:*" in listed
    assert "revoked" in listed
    assert "never" in listed
    assert kept["secret"] not in listed


def test_a_damaged_key_is_listed_and_revoked_and_not_rotated(terminal: Terminal, store: MemoryKeys) -> None:
    made = terminal.json(*MADE, "--name", "spoilt", person="olga")
    store.keys[made["id"]] = replace(store.keys[made["id"]], name=made["id"], is_damaged=True, expires_at=0.0)
    (listed,) = terminal.json("key", "list", person="olga")
    assert (listed["id"], listed["is_damaged"]) == (made["id"], True)
    assert "damaged" in terminal.type("key", "list", person="olga").output
    refused = terminal.type("key", "rotate", made["id"], person="olga")
    assert (refused.exit_code, "revoke it" in refused.output, len(store.keys)) == (4, True, 1)
    assert terminal.type("key", "revoke", made["id"], *WHY, person="olga").exit_code == 0
    assert terminal.json("key", "list", person="olga") == []


@pytest.mark.parametrize(
    ("words", "person", "exit_code", "message"),
    [
        (MADE, "rita", 5, "only operators"),
        (MADE, "ada", 5, "only operators"),
        (MADE, "nobody", 5, "not valid"),
        (("key", "create", "--owner", "alice"), "olga", 2, "--model"),
        (("key", "create", "--model", "llama"), "olga", 2, "--owner"),
        ((*MADE, "--model", "qwen"), "olga", 2, "no model 'qwen' here; there are gpt-4o, llama"),
        ((*MADE, "--api", "soap"), "olga", 2, "no model API 'soap'"),
        ((*MADE, "--path", "health"), "olga", 2, "begins with /"),
        ((*MADE, "--path", "/a b"), "olga", 2, "no spaces"),
        ((*MADE, "--name", "a b"), "olga", 2, "a name has"),
        ((*MADE, "--name", "key_01jd3k6w4vq0c2m8s9t7x5y1zb"), "olga", 2, "no key's id"),
        (("key", "create", "--owner", "a\x07b", "--model", "*"), "olga", 2, "printable"),
        ((*MADE, "--group", ""), "olga", 2, "printable"),
        ((*MADE, "--expires", "soon"), "olga", 2, "is not a time"),
        ((*MADE, "--expires", "2001-01-01"), "olga", 2, "at the earliest"),
        ((*MADE, "--expires", "2099-01-01"), "olga", 2, "at the latest"),
        (("key", "rotate", "x", "--overlap", "31d"), "olga", 3, "no API key"),
        (("key", "revoke", "x"), "olga", 2, "--reason"),
        (("key", "revoke", "x", "--reason", " "), "olga", 2, "give a reason"),
        (("key", "list"), "ada", 5, "only operators"),
    ],
)
def test_what_is_not_permitted_or_not_clear_changes_nothing(
    terminal: Terminal,
    store: MemoryKeys,
    words: tuple[str, ...],
    person: str,
    exit_code: int,
    message: str,
) -> None:
    done = terminal.type(*words, person=person)
    assert (done.exit_code, message in done.output) == (exit_code, True), done.output
    assert store.keys == {}
    assert store.recorded == []


def test_an_overlap_is_a_month_at_most(terminal: Terminal, store: MemoryKeys) -> None:
    terminal.type(*MADE, "--name", "nightly", person="olga")
    done = terminal.type("key", "rotate", "nightly", "--overlap", "31d", person="olga")
    assert (done.exit_code, "30 days at most" in done.output) == (2, True), done.output
    assert len(store.keys) == 1


def test_a_name_is_given_once(terminal: Terminal) -> None:
    terminal.type(*MADE, "--name", "nightly", person="olga")
    terminal.type("key", "revoke", "nightly", *WHY, person="olga")
    assert terminal.type(*MADE, "--name", "nightly", person="olga").exit_code == 4


def test_a_server_that_takes_no_keys_and_one_whose_store_is_away_say_so(
    terminal: Terminal, store: MemoryKeys, review_thread: LoopThread, tmp_path: Path
) -> None:
    store.is_away = True
    assert terminal.type(*MADE, person="olga").exit_code == 6
    folder = tmp_path / "without"
    folder.mkdir()
    with running(review_thread, folder) as review:
        done = Terminal({"AUTHZ_SERVER": review.address}).type(*MADE, person="olga")
        assert (done.exit_code, "identity.api_keys" in done.output) == (1, True)
