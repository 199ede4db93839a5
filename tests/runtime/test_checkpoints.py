"""A checkpoint adds to the one before; receivers get the newest at their own pace, and hold up nobody."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from authz_service.audit.checkpoint import Checkpoint, parse_note, verified
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.proofs import is_consistent
from authz_service.config.record_values import Bucket, Syslog, Webhook
from authz_service.errors import Misconfigured, Unavailable
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_service.runtime import checkpoint_delivery
from authz_service.runtime.checkpoint_delivery import FAILING_AFTER, Deliveries, Delivery, NotDelivered
from authz_service.runtime.checkpoint_receivers import receiver_of
from authz_service.runtime.checkpoints import Checkpoints
from authz_service.store.checkpoint_file import append, newest, read_all
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore

KEY = LogKey.create("example.com/log")
DELIVERY = Delivery("example.com/log\n7\n", Checkpoint("example.com/log", 7, bytes(32)), None, ())
ENTRY = EntryDraft(Kind.SERVICE_STARTED)


@dataclass
class Memory:
    """A receiver that keeps what it is given, or refuses `refusals` times first."""

    name: str = "memory"
    refusals: int = 0
    got: list[Delivery] = field(default_factory=list)

    async def deliver(self, delivery: Delivery) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotDelivered("is not in the mood")
        self.got.append(delivery)


@dataclass
class Place:
    """A store and its file of checkpoints."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "checkpoints" / "checkpoints.jsonl"

    @property
    def database(self) -> Path:
        return self.folder / "a.db"

    async def open(self) -> SqlStore:
        return await open_store(f"sqlite:///{self.database}", instance="i", pseudonym=str, signer=KEY)

    def checkpoints(self, store: SqlStore, *receivers: Any) -> Checkpoints:
        deliveries = Deliveries(receivers, self.folder / "receivers.json", first_pause=0.01)
        return Checkpoints(store, key=KEY.vkey, path=self.path, deliveries=deliveries, every=3600)

    def sizes(self) -> list[int]:
        return [kept.checkpoint.size for _, kept in read_all(self.path) if kept is not None]

    def change(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.database) as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def within(work: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Polls; the caller bounds the wait."""
    while not condition():
        await asyncio.sleep(0.005)


def test_each_checkpoint_is_signed_and_proves_that_it_adds_to_the_one_before(place: Place) -> None:
    async def scenario() -> None:
        store = await place.open()
        memory = Memory()
        checkpoints = place.checkpoints(store, memory)
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        for count in (1, 4, 2, 7):
            await store.append(*[ENTRY] * count)
            await checkpoints.take()
            await until(lambda: bool(memory.got) and memory.got[-1].checkpoint.size == checkpoints.size)
        await checkpoints.take()  # nothing new: no checkpoint
        delivering.cancel()
        assert place.sizes() == [1, 5, 7, 14]
        assert [d.checkpoint.size for d in memory.got] == [1, 5, 7, 14]
        for delivery in memory.got:
            assert (
                verified(parse_note(delivery.text), [KEY.vkey], is_ed25519_signature) == delivery.checkpoint
            )
            if delivery.previous is not None:
                old, new = delivery.previous, delivery.checkpoint
                assert is_consistent(old.size, old.root, new.size, new.root, delivery.proof)
        await store.close()

    within(scenario())
    assert place.path.stat().st_mode & 0o777 == 0o600
    assert place.path.parent.stat().st_mode & 0o777 == 0o700


async def reopened(place: Place) -> Checkpoints:
    """As at the next start: opened, and compared with the file."""
    store = await place.open()
    try:
        checkpoints = place.checkpoints(store)
        await checkpoints.compare()
        return checkpoints
    finally:
        await store.close()


async def filled(place: Place, counts: tuple[int, ...] = (5, 6)) -> None:
    store = await place.open()
    checkpoints = place.checkpoints(store)
    for count in counts:
        await store.append(*[ENTRY] * count)
        await checkpoints.take()
    await store.append(ENTRY)
    await store.close()


def test_a_record_that_only_grew_is_taken_up_where_it_was(place: Place) -> None:
    async def scenario() -> None:
        await filled(place)
        checkpoints = await reopened(place)
        assert checkpoints.size == 11
        without = place.path.read_text().replace('"frontier":[', '"frontier":["00",')
        place.path.write_text(without)
        assert (await reopened(place)).size == 11  # the frontier is computed where the file has none

    within(scenario())


def test_a_restored_older_backup_is_refused_with_the_command_to_run(place: Place) -> None:
    async def scenario() -> None:
        await filled(place, (5,))
        backup = place.database.read_bytes()
        await filled(place, (6,))
        place.database.write_bytes(backup)
        with pytest.raises(Misconfigured, match=r"has 6 entries, and had 12.*authz audit accept"):
            await reopened(place)

    within(scenario())


@pytest.mark.parametrize("with_frontier", [True, False])
def test_a_record_that_was_rewritten_and_signed_again_is_refused(place: Place, with_frontier: bool) -> None:
    async def scenario() -> None:
        await filled(place)
        kept = place.path.read_text()
        for path in (place.database, place.path):
            path.unlink()
        await filled(place, (20,))  # another record, by the same key
        place.path.write_text(kept if with_frontier else kept.replace('"frontier":[', '"frontier":["00",'))
        with pytest.raises(Misconfigured, match="the record is not what it was"):
            await reopened(place)

    within(scenario())


def test_checkpoints_of_another_log_are_refused(place: Place) -> None:
    async def scenario() -> None:
        await filled(place)
        place.path.write_text(place.path.read_text().replace("example.com", "example.org"))
        with pytest.raises(Misconfigured, match="another log"):
            await reopened(place)

    within(scenario())


def test_a_running_record_that_contradicts_its_checkpoint_is_pushed_nowhere(place: Place) -> None:
    async def scenario() -> None:
        store = await place.open()
        memory = Memory()
        checkpoints = place.checkpoints(store, memory)
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        await store.append(*[ENTRY] * 5)
        await checkpoints.take()
        await until(lambda: bool(memory.got))
        await store.append(*[ENTRY] * 5)
        place.change("UPDATE entries SET leaf = ? WHERE seq = 8", bytes(32))
        await checkpoints.take()
        assert not checkpoints.is_consistent
        assert place.sizes() == [5]
        place.change("DELETE FROM entries WHERE seq = 8")
        await checkpoints.take()
        assert place.sizes() == [5]
        assert len(memory.got) == 1
        delivering.cancel()
        await store.close()

    within(scenario())


def test_a_head_whose_signature_was_changed_is_pushed_nowhere(place: Place) -> None:
    async def scenario() -> None:
        store = await place.open()
        checkpoints = place.checkpoints(store)
        await store.append(ENTRY)
        await checkpoints.take()
        await store.append(ENTRY)
        place.change("UPDATE head SET signature = ?", bytes(68))
        await checkpoints.take()
        assert not checkpoints.is_consistent
        assert place.sizes() == [1]
        await store.close()

    within(scenario())


def test_a_receiver_that_refuses_is_tried_again_and_holds_up_no_other(place: Place) -> None:
    async def scenario() -> None:
        slow, quick = Memory("slow", refusals=3), Memory("quick")
        deliveries = Deliveries([slow, quick], place.folder / "state" / "receivers.json", first_pause=0.01)
        delivering = asyncio.create_task(deliveries.run())
        deliveries.offer(DELIVERY)
        await until(lambda: bool(quick.got))
        await until(lambda: bool(slow.got))
        await until(lambda: deliveries.standings["slow"].error == "")
        assert (deliveries.standings["slow"].failures, deliveries.standings["slow"].size) == (3, 7)
        shown = json.loads((place.folder / "state" / "receivers.json").read_text())
        assert [(s["name"], s["size"], s["failures"]) for s in shown] == [("slow", 7, 3), ("quick", 7, 0)]
        delivering.cancel()

    within(scenario())


@dataclass
class Recorded:
    """What deliveries put on record; the store is away for the first `refusals` entries."""

    refusals: int = 0
    drafts: list[EntryDraft] = field(default_factory=list)

    async def record(self, draft: EntryDraft) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the store is away", code="store_unavailable")
        self.drafts.append(draft)

    def kinds(self) -> list[str]:
        return [draft.kind.value for draft in self.drafts]


async def delivered(deliveries: Deliveries, memory: Memory, *, times: int) -> None:
    """Offer one and see it arrive, as often."""
    before = len(memory.got)
    for number in range(times):
        deliveries.offer(DELIVERY)
        await until(lambda want=before + number + 1: len(memory.got) >= want)  # type: ignore[misc]  # a default
        await until(lambda: deliveries.standings[memory.name].error == "")


@pytest.mark.parametrize(
    ("refusals", "told"),
    [
        (FAILING_AFTER - 1, []),
        (FAILING_AFTER, ["checkpoint.failing", "checkpoint.delivered"]),
        (3 * FAILING_AFTER, ["checkpoint.failing", "checkpoint.delivered"]),
    ],
)
def test_a_receiver_that_fails_again_and_again_is_on_record_once_and_its_recovery_too(
    place: Place, monkeypatch: pytest.MonkeyPatch, refusals: int, told: list[str]
) -> None:
    monkeypatch.setattr(checkpoint_delivery, "LONGEST_PAUSE", 0.01)
    memory, recorded = Memory("far", refusals=refusals), Recorded()

    async def scenario() -> None:
        state = place.folder / "receivers.json"
        deliveries = Deliveries([memory], state, first_pause=0.001, record=recorded.record)
        delivering = asyncio.create_task(deliveries.run())
        await delivered(deliveries, memory, times=2)
        await until(lambda: recorded.kinds() == told)
        delivering.cancel()

    within(scenario())
    for draft in recorded.drafts[:1]:
        assert draft.data == {"receiver": "far", "size": 0, "failures": FAILING_AFTER}
        assert sorted(draft.payloads) == ["error"]


def test_a_recovery_after_a_restart_is_on_record_and_a_store_that_is_away_is_asked_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_delivery, "LONGEST_PAUSE", 0.01)
    state = place.folder / "receivers.json"
    before, after = Recorded(refusals=2), Recorded()

    async def failing() -> None:
        deliveries = Deliveries(
            [Memory("far", refusals=10**6)], state, first_pause=0.001, record=before.record
        )
        delivering = asyncio.create_task(deliveries.run())
        deliveries.offer(DELIVERY)
        await until(lambda: b'"is_failing":true' in state.read_bytes())
        delivering.cancel()

    async def recovering() -> None:
        memory = Memory("far")
        deliveries = Deliveries([memory], state, first_pause=0.001, record=after.record)
        delivering = asyncio.create_task(deliveries.run())
        await delivered(deliveries, memory, times=1)
        await until(lambda: b'"is_failing":false' in state.read_bytes())
        delivering.cancel()

    within(failing())
    assert before.kinds() == ["checkpoint.failing"]
    within(recovering())
    assert after.kinds() == ["checkpoint.delivered"]


def test_what_was_not_delivered_before_a_stop_is_delivered_after_the_next_start(place: Place) -> None:
    async def scenario() -> None:
        await filled(place)
        store = await place.open()
        memory = Memory()
        checkpoints = place.checkpoints(store, memory)
        await checkpoints.compare()
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        await until(lambda: bool(memory.got))
        assert memory.got[0].checkpoint.size == 11
        delivering.cancel()
        await store.close()

    within(scenario())


def test_a_line_that_a_crash_has_cut_is_passed_over_and_ended(place: Place) -> None:
    async def scenario() -> None:
        await filled(place)
        whole = place.path.read_bytes()
        place.path.write_bytes(whole + whole[:50])
        kept = newest(place.path)
        assert kept is not None
        assert kept.checkpoint.size == 11
        append(place.path, whole.splitlines(keepends=True)[0])
        assert place.path.read_bytes() == whole + whole[:50] + b"\n" + whole.splitlines(keepends=True)[0]
        place.path.write_bytes(b"nothing\nat all\n")
        with pytest.raises(Misconfigured, match="no checkpoints"):
            newest(place.path)
        place.path.write_bytes(b"")
        assert newest(place.path) is None

    within(scenario())


class Handler(BaseHTTPRequestHandler):
    """Answers with the status of the server, and keeps what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.command, self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_gets_the_checkpoint_and_its_proof_with_the_token(server: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    within(receiver_of(Webhook(f"{server.url}/kept", tmp_path / "token")).deliver(DELIVERY))
    method, path, headers, body = server.got[0]
    assert (method, path) == ("POST", "/kept")
    assert headers["authorization"] == "Bearer secret-token"
    sent = json.loads(body)
    assert (sent["size"], sent["checkpoint"], sent["previous"], sent["proof"]) == (7, DELIVERY.text, None, [])


@pytest.mark.parametrize("status", [302, 401, 409, 500])
def test_a_webhook_that_does_not_say_yes_has_not_taken_it(server: Any, status: int) -> None:
    server.status = status
    with pytest.raises(NotDelivered, match=f"answers {status}"):
        within(receiver_of(Webhook(server.url)).deliver(DELIVERY))
    assert len(server.got) == 1


def test_what_cannot_be_reached_or_has_no_token_is_told_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Webhook("http://127.0.0.1:1/")).deliver(DELIVERY))
    (tmp_path / "token").write_bytes(b"two\nlines")
    with pytest.raises(NotDelivered, match="holds no token") as error:
        within(receiver_of(Webhook("http://127.0.0.1:1/", tmp_path / "token")).deliver(DELIVERY))
    assert "lines" not in str(error.value)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Syslog("tcp", "127.0.0.1", 1)).deliver(DELIVERY))
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Syslog("unix", str(tmp_path / "none"), 0)).deliver(DELIVERY))


SYSLOG = re.compile(
    rb"<109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ authz \d+ checkpoint - (\{.*\})", re.DOTALL
)


def test_syslog_gets_a_message_of_rfc_5424_by_udp_tcp_and_unix(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.bind(("127.0.0.1", 0))
        within(receiver_of(Syslog("udp", "127.0.0.1", udp.getsockname()[1])).deliver(DELIVERY))
        check_syslog(udp.recv(65536))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.settimeout(10)
        unix.bind(str(tmp_path / "log"))
        within(receiver_of(Syslog("unix", str(tmp_path / "log"), 0)).deliver(DELIVERY))
        check_syslog(unix.recv(65536))
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        tcp.settimeout(10)
        within(receiver_of(Syslog("tcp", "127.0.0.1", tcp.getsockname()[1])).deliver(DELIVERY))
        connection, _ = tcp.accept()
        with connection:
            stream = connection.makefile("rb").read()
        length, _, message = stream.partition(b" ")
        assert int(length) == len(message)  # RFC 6587 3.4.1
        check_syslog(message)


def check_syslog(message: bytes) -> None:
    found = SYSLOG.fullmatch(message)
    assert found is not None, message
    assert json.loads(found[1])["checkpoint"] == DELIVERY.text


def signature_of(headers: dict[str, str], path: str, secret: str) -> str:
    """AWS Signature Version 4 of a PUT, computed anew from what arrived."""
    names = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    scope = re.search(r"Credential=[^/]+/([^,]+)", headers["authorization"])
    assert names is not None
    assert scope is not None
    lines = "".join(f"{name}:{headers[name]}\n" for name in names[1].split(";"))
    request = f"PUT\n{path}\n\n{lines}\n{names[1]}\n{headers['x-amz-content-sha256']}"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope[1]}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in scope[1].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_a_bucket_gets_an_object_that_is_signed_for_and_locked(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    server.status = 200
    within(receiver_of(Bucket("kept", "authz/", "eu-central-1", server.url, 86_400.0)).deliver(DELIVERY))
    method, path, sent, body = server.got[-1]
    headers = {name.lower(): value for name, value in sent.items()}
    assert (method, path, body) == (
        "PUT",
        "/kept/authz/000000000000000007.checkpoint",
        DELIVERY.text.encode(),
    )
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert headers["x-amz-object-lock-retain-until-date"] > "2026"
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["authorization"].endswith(f"Signature={signature_of(headers, path, 'the-secret')}")


def test_a_bucket_that_refuses_has_not_taken_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    server.status = 403
    with pytest.raises(NotDelivered) as error:
        within(receiver_of(Bucket("kept", endpoint=server.url)).deliver(DELIVERY))
    assert "secret" not in str(error.value)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Bucket("kept", endpoint="http://127.0.0.1:1")).deliver(DELIVERY))
