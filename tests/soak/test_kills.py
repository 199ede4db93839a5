"""Service, workers, Envoy and database are killed at random moments under a streaming load, and the record is
held against what both sides received. `SOAK_KILLS` says how often on each database; 150 by default."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e.crew import KEYS, WORKERS, processes
from tests.e2e.stack import CONFIG
from tests.e2e.upstream_answers import Received
from tests.soak.apart import Apart
from tests.soak.load import Call, Load, slow_answer
from tests.store.postgres_for_tests import PostgresForTests

from authz_api.v1.holds_pb2 import HOLD_STATE_PENDING, ListHoldsRequest
from authz_cli.exits import Failure
from authz_cli.hold_client import connect
from authz_cli.hold_json import hold_object
from authz_cli.options import Target
from authz_service.core.sessions import Entry, SessionQuery
from authz_service.core.stored_holds import HoldQuery, HoldState
from authz_service.keys.master_key import master_key_from_file
from authz_service.store.open import open_store
from authz_service.store.open_keys import open_keyring

pytestmark = pytest.mark.soak

KILLS = int(os.environ.get("SOAK_KILLS", "150"))


@pytest.fixture
def server() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


def test_on_sqlite_what_was_received_is_on_record_and_nothing_unapproved_came_through(
    tmp_path: Path,
) -> None:
    place = Place(f"sqlite:///{tmp_path}/data/authz.db", f"sqlite:///{tmp_path}/data/keys.db")
    _soak(Apart(tmp_path, wait="10s"), place, {})


@pytest.mark.postgres
def test_on_postgresql_with_workers_what_was_received_is_on_record_and_nothing_unapproved_came_through(
    tmp_path: Path, server: PostgresForTests
) -> None:
    place = Place(server.url(server.create()), server.url(server.create(template="template1")))
    keys = KEYS.replace("{keys}", place.keys.replace("{", "{{"))
    apart = Apart(tmp_path, wait="10s", store=place.url, config=CONFIG + keys, workers=WORKERS)

    def kill_database() -> None:
        server.kill()
        server.start()

    def kill_worker(part: str) -> None:
        running = processes(apart)
        if part in running:  # one that was killed just before may not be back yet
            os.kill(running[part], signal.SIGKILL)

    worker = itertools.cycle(map(str, range(WORKERS)))
    victims = {
        "database": kill_database,
        "worker": lambda: kill_worker(next(worker)),
        "keeper": lambda: kill_worker("-1"),
    }
    _soak(apart, place, victims)


class Place(NamedTuple):
    """Where the record is, and the keys that open it."""

    url: str
    keys: str


def _soak(apart: Apart, place: Place, more_victims: Mapping[str, Callable[[], None]]) -> None:
    with apart as stack:
        for _ in range(1_000_000 // 1000):
            stack.upstream.answer_with(*[slow_answer] * 1000)
        groups = ("staff", "contractors", "strangers")
        load = Load(stack.url, {g: stack.token(f"user-of-{g}", g, ttl="10h") for g in groups})
        approving = threading.Event()
        approver = threading.Thread(target=_approve_some, args=(stack, approving))
        load.start(6)
        approver.start()
        try:
            kills = _kill_again_and_again(stack, more_victims)
        finally:
            approving.set()
            load.stop()
            approver.join()
        upstream = list(stack.upstream.requests)
        _restart_once_more(stack)
        verified = json.loads(
            stack.cli("audit", "verify", "--json", "--config", str(stack.config_file)).stdout
        )
        stack.stop()
        record = asyncio.run(_read(place, stack.data))
    print(f"\nkilled: {', '.join(f'{name} {n}' for name, n in sorted(kills.items()))}")
    assert verified["wrong"] == [], verified
    _compare(load.calls, upstream, record)


def _restart_once_more(stack: Apart) -> None:
    """What was under way when it was killed last is ended by the next start."""
    stack.kill_service()
    stack.start_service()


def _kill_again_and_again(stack: Apart, more_victims: Mapping[str, Callable[[], None]]) -> Counter[str]:
    """Kill one or the other and start it again; how often each was."""

    def kill_service() -> None:
        stack.kill_service()
        stack.start_service()

    def kill_envoy() -> None:
        stack.kill_envoy()
        stack.start_envoy()

    victims = {"service": kill_service, "Envoy": kill_envoy, **more_victims}
    chance = random.Random(7)
    kills: Counter[str] = Counter()
    left: list[str] = []
    for number in range(KILLS):
        time.sleep(chance.uniform(0.05, 2.0))
        left = left or chance.sample(sorted(victims), len(victims))
        name = left.pop()
        victims[name]()
        kills[name] += 1
        print(f"\rkill {number + 1} of {KILLS}", end="", flush=True)
    time.sleep(2.0)
    return kills


def _approve_some(stack: Apart, is_over: threading.Event) -> None:
    """A reviewer who approves every second hold, while the server is there."""
    target = Target(server=None, ca=None, token=None, data_dir=stack.data, is_data_dir_named=True)
    looked_at: set[str] = set()
    while not is_over.wait(0.2):
        with suppress(Failure), connect(target) as client:
            request = ListHoldsRequest(states=[HOLD_STATE_PENDING])
            for hold in [hold_object(hold) for hold, _ in client.holds(request)]:
                if hold["id"] not in looked_at and len(looked_at) % 2 == 0:
                    client.approve(hold["id"], digest=hold["digest"], reason="fine")
                looked_at.add(hold["id"])


class Record:
    """What the store says afterwards."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.released_holds: dict[str, str] = {}

    def released_answer(self, session: str) -> bytes:
        """Everything that was released to the caller of a session."""
        pieces = [e.payloads["body"] for e in self.entries[session] if e.kind == "answer.released"]
        return b"".join(pieces)

    def refusals(self, session: str) -> list[int]:
        """The status of each refusal that was said to the caller of a session."""
        said = [e for e in self.entries[session] if e.kind == "request.refused"]
        return [json.loads(entry.body)["data"]["status"] for entry in said]

    def released_requests(self) -> list[tuple[str, bytes]]:
        """Session and body of every request that was released to the model."""
        return [
            (session, entry.payloads["body"])
            for session, listed in self.entries.items()
            for entry in listed
            if entry.kind == "request.released"
        ]


async def _read(place: Place, data: Path) -> Record:
    record = Record()
    master = master_key_from_file(data / "master.key")
    keyring = open_keyring(place.keys, lambda may_create: master)
    store = await open_store(
        place.url, instance="reader", pseudonym=lambda identity: "reader", keyring=keyring
    )
    try:
        token = ""
        while True:
            page = await store.sessions(SessionQuery(page_size=200, page_token=token))
            for session in page.items:
                record.entries[session.id] = list(await store.entries(session.id))
            token = page.next_page_token
            if not token:
                break
        while True:
            holds = await store.holds(
                HoldQuery(states=(HoldState.RELEASED,), page_size=200, page_token=token)
            )
            for hold in holds.items:
                assert hold.released_to is not None
                record.released_holds[hold.id] = hold.released_to
            token = holds.next_page_token
            if not token:
                return record
    finally:
        await store.close()


def _compare(calls: list[Call], upstream: list[Received], record: Record) -> None:
    answered = [call for call in calls if call.status == 200 and call.session]
    for call in answered:
        released = record.released_answer(call.session)
        assert released.startswith(call.received), f"{call.mark} received what is not on record"
    for call in calls:
        if call.status == 403 and call.session:
            assert 403 in record.refusals(call.session), f"{call.mark} was refused, and the record has it not"
    by_mark = {call.mark: call for call in calls}
    seen = _compare_model(by_mark, upstream, record)
    recovered = sum(_compare_session(session, entries) for session, entries in record.entries.items())
    held = {mark: n for mark, n in seen.items() if by_mark[mark].group == "contractors"}
    used = list(record.released_holds.values())
    assert len(held) <= len(used), "a held request came through without a released hold"
    assert len(used) == len(set(used)), "two approvals were used for one exchange"
    assert len(answered) > KILLS, "the load did not get far enough to say anything"
    assert held, "no held request was approved and came through"
    assert recovered, "no exchange was under way when the service was killed"
    cut = [call for call in answered if call.received != record.released_answer(call.session)]
    print(
        f"\n{KILLS} kills, {len(calls)} calls, {len(answered)} answered, {len(cut)} of them cut short, "
        f"{len(upstream)} at the model, {len(held)} of them approved, {recovered} recovered, "
        f"{sum(len(c.received) for c in answered)} bytes received"
    )


def _compare_model(
    by_mark: Mapping[str, Call], upstream: Sequence[Received], record: Record
) -> Mapping[str, int]:
    """How often each request came to the model: once, as the record says that it was released."""
    released: dict[str, list[bytes]] = defaultdict(list)
    for _, body in record.released_requests():
        released[_mark_of(body)].append(body)
    bodies = [body for found in released.values() for body in found]
    seen: Counter[str] = Counter()
    for request in upstream:
        if not request.complete.is_set():
            assert any(body.startswith(request.body) for body in bodies), "an unrecorded request came"
            continue
        mark = _mark_of(request.body)
        assert released[mark] == [request.body], "what came to the model is not what was released, once"
        seen[mark] += 1
        assert by_mark[mark].group != "strangers", "a denied request came through"
        assert b"jane@example.com" not in request.body
    assert set(seen.values()) == {1}, "what was released once came through twice"
    return seen


def _mark_of(body: bytes) -> str:
    mark: str = json.loads(body)["messages"][0]["content"].split(" ", 1)[0]
    return mark


def _compare_session(session: str, entries: Sequence[Entry]) -> int:
    """Whether what one exchange's entries say can be true; how many of them say that it was recovered."""
    kinds = [entry.kind for entry in entries]
    assert kinds.count("request.received") == 1, f"{session} began twice: {kinds}"
    assert kinds.count("request.released") <= 1, f"{session} was released twice: {kinds}"
    # A held exchange goes on when Envoy brings its stream to the next process: it ends again then.
    ends = [at for at, kind in enumerate(kinds) if kind in ("exchange.ended", "exchange.recovered")]
    assert ends, f"{session} has no end: {kinds}"
    assert not {"request.released", "answer.released", "hold.attached"} & set(kinds[ends[-1] :]), kinds
    said = [(entry.kind, entry.at, json.loads(entry.body)["data"]) for entry in entries]
    assert kinds.count("exchange.ended") <= 1 + kinds.count("exchange.resumed"), said
    for at, entry in enumerate(entries):
        if entry.kind == "exchange.recovered":
            says = json.loads(entry.body)["data"]
            assert says["request_released"] == ("request.released" in kinds[:at]), kinds
            assert says["answer_released"] == ("answer.released" in kinds[:at]), kinds
    return kinds.count("exchange.recovered")
