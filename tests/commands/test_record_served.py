"""Exports and orders beside a service that has the store for itself: over its review API, each on record."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from tests.commands.record_commands import Stopped, said, verify
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import NO_REVISER
from tests.servers.review_people import PEOPLE, GroupRoles, People

from authz_api.v1 import record_pb2 as pb
from authz_api.v1.record_pb2_grpc import RecordServiceStub
from authz_cli.main import cli
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.keeping_values import Keep
from authz_service.core.entries import caller_payload
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.core.stored_holds import HoldLimits
from authz_service.runtime.record import Record, open_record
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_record import RecordReview
from authz_service.servers.review_tokens import _entry as revocation_entry
from authz_service.store.erasures import Erasures
from authz_service.store.record_reader import reading
from authz_service.view.caller import Caller

PROMPT = b"a prompt"


@dataclass
class Served:
    """A service that runs on a data directory, and a command line beside it."""

    place: Stopped
    record: Record
    thread: LoopThread
    refused: list[str] = field(default_factory=list)

    def run(self, *arguments: str, person: str) -> Result:
        environment = {"AUTHZ_TOKEN": f"token-{person}"}
        words = [*arguments, "--data-dir", str(self.place.data.root)]
        return CliRunner().invoke(cli, words, env=environment)

    def ask(self, *arguments: str, person: str = "oda") -> Result:
        return self.run(*arguments, "--server", f"unix:{self.place.data.review_socket}", person=person)

    def entries(self, kind: str) -> list[Any]:
        with reading(f"sqlite:///{self.place.data.database}") as reader:
            found = [json.loads(row.body) for page in reader.pages(1, reader.largest()) for row in page]
        return [entry for entry in found if entry["kind"] == kind]

    def payload(self, entry: Any, name: str) -> Any:
        session = self.thread.run(self.record.store.entries(entry["session"]))
        return json.loads(next(e for e in session if e.sequence == entry["seq"]).payloads[name])


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def served(tmp_path: Path, thread: LoopThread) -> Iterator[Served]:
    place = Stopped(tmp_path)
    config = load_config(place.config).config
    record = thread.run(open_record(config, place.data, instance="i", pseudonym=place.pseudonym))
    review = ReviewServer(
        record.store,
        People(),
        GroupRoles(),
        limits=HoldLimits,
        reviser=NO_REVISER,
        poll=0.05,
        record=lambda calls: RecordReview(record.store, calls, Keep, place.pseudonym),
    )
    place.data.review_socket.parent.mkdir(mode=0o700, exist_ok=True)
    serving = review.serve(f"unix:{place.data.review_socket}")
    thread.run(serving.__aenter__())
    try:
        yield Served(place, record, thread)
    finally:
        thread.run(serving.__aexit__(None, None, None))
        thread.run(record.store.close())


def test_an_auditors_export_is_on_record_before_it_is_made_and_verifies(
    served: Served, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = said(served.run("audit", "export", str(out), "--json", person="ada"))
    (entry,) = served.entries("record.exported")
    ada = served.place.pseudonym(PEOPLE["ada"].identity)
    before = done["payloads"] - 1  # all but who exports, which comes with the entry
    assert entry["data"] == {"first": 1, "last": None, "payloads": before, "reader": ada}
    assert before > 0
    assert done["size"] == entry["seq"]
    assert verify(out).returncode == 0, verify(out).stdout
    assert PROMPT in (out / "payloads/000").read_bytes()
    assert b'"ada"' in (out / "payloads/000").read_bytes()


@pytest.mark.parametrize("person", ["rita", "oda", "nobody"])
def test_what_cannot_be_recorded_is_not_exported(served: Served, tmp_path: Path, person: str) -> None:
    out = tmp_path / "out"
    refused = served.run("audit", "export", str(out), person=person)
    assert refused.exit_code == 5
    assert "nothing was exported" in refused.output
    assert "--no-payloads" in refused.output
    assert list(out.iterdir()) == []
    assert served.entries("record.exported") == []
    assert served.run("audit", "export", str(out), "--no-payloads", person=person).exit_code == 0
    assert not (out / "payloads").exists()
    assert served.entries("record.exported") == []


def test_a_range_is_recorded_as_the_whole_bundles_that_go_out(served: Served, tmp_path: Path) -> None:
    drafts = [EntryDraft(Kind.SERVICE_STARTED, payloads={"body": PROMPT})] * 600
    served.thread.run(_append(served, drafts))
    out = tmp_path / "out"
    ranged = ("--from", "300", "--to", "310")
    assert served.run("audit", "export", str(out), *ranged, person="ada").exit_code == 0
    (entry,) = served.entries("record.exported")
    assert (entry["data"]["first"], entry["data"]["last"]) == (257, 512)
    assert [path.name for path in (out / "payloads").iterdir()] == ["001"]
    assert verify(out).returncode == 0, verify(out).stdout


async def _append(served: Served, drafts: list[EntryDraft]) -> None:
    await served.record.store.append(*drafts)


def test_a_local_export_of_a_stopped_service_is_on_record_too(tmp_path: Path) -> None:
    stopped = Stopped(tmp_path)
    assert stopped.run("audit", "export", str(tmp_path / "out")).exit_code == 0
    assert verify(tmp_path / "out").returncode == 0
    with reading(f"sqlite:///{stopped.data.database}") as reader:
        (last,) = next(iter(reader.pages(reader.largest(), reader.largest())))
    assert json.loads(last.body)["kind"] == "record.exported"
    assert stopped.run("audit", "verify").exit_code == 0


def test_a_name_of_an_exporter_goes_with_them_and_the_export_after_verifies(
    served: Served, tmp_path: Path
) -> None:
    assert served.run("audit", "export", str(tmp_path / "first"), person="ada").exit_code == 0
    ada = PEOPLE["ada"]
    served.thread.run(_append(served, _asked(served, ada)))
    erase = ("record", "erase", "--subject", "ada", "--reason", "asked", "--yes")
    assert served.ask(*erase).exit_code == 0
    assert served.run("audit", "export", str(tmp_path / "out"), person="pia").exit_code == 0
    assert verify(tmp_path / "out").returncode == 0, verify(tmp_path / "out").stdout
    assert b'"ada"' not in (tmp_path / "out/payloads/000").read_bytes()
    assert served.run("audit", "verify", person="pia").exit_code == 0


def _asked(served: Served, caller: Caller) -> list[EntryDraft]:
    pseudonym = served.place.pseudonym(caller.identity)
    data = {"api": "openai", "caller": pseudonym, "method": "POST", "path": "/v1/x"}
    received = EntryDraft(
        Kind.REQUEST_RECEIVED, "ses_x", {**data}, {"caller": caller_payload(caller)}, pseudonym
    )
    return [received, EntryDraft(Kind.EXCHANGE_ENDED, "ses_x", {"outcome": "completed"})]


def test_an_officer_keeps_lifts_erases_and_purges_while_the_service_runs(served: Served) -> None:
    kept = said(served.ask("record", "keep", "ses_alice", "--reason", "case 7", "--json"))["id"]
    (listed,) = said(served.ask("record", "keep", "--list", "--json"))
    assert (listed["id"], listed["session"], listed["by"], listed["reason"]) == (
        kept,
        "ses_alice",
        "oda",
        "case 7",
    )
    erase = ("record", "erase", "--subject", "alice", "--reason", "asked for it", "--yes", "--json")
    refused = served.ask(*erase)
    assert (refused.exit_code, kept in refused.output) == (4, True)
    assert served.ask("record", "keep", "--lift", kept, "--reason", "closed").exit_code == 0
    erased = said(served.ask(*erase))
    assert (erased["sessions"], erased["payloads"], erased["keys"]) == (1, 2, 1)
    purge = ("record", "purge", "--older-than", "0h", "--json")
    planned = said(served.ask(*purge, "--dry-run"))
    purged = said(served.ask(*purge, "--reason", "tidy", "--yes"))
    assert purged["entries"] == planned["entries"] > 0
    oda = served.place.pseudonym(PEOPLE["oda"].identity)
    for kind in ("record.kept", "record.keep_lifted", "record.erasure_ordered", "record.purged"):
        (entry,) = served.entries(kind)
        assert entry["data"]["orderer"] == oda
        assert served.payload(entry, "order")["by"] == "oda"
    assert served.run("audit", "verify", person="oda").exit_code == 0


@pytest.mark.parametrize("person", ["ada", "olga", "rita"])
@pytest.mark.parametrize(
    "order",
    [
        ("keep", "ses_alice", "--reason", "r"),
        ("keep", "--list"),
        ("keep", "--lift", "keep_1", "--reason", "r"),
        ("erase", "--subject", "alice", "--reason", "r", "--yes"),
        ("purge", "--dry-run"),
    ],
)
def test_nobody_else_orders_anything(served: Served, person: str, order: tuple[str, ...]) -> None:
    refused = served.ask("record", *order, person=person)
    assert (refused.exit_code, "review.record_officers" in refused.output) == (5, True)


def test_an_order_needs_a_reason_there_too(served: Served) -> None:
    assert "--reason" in served.ask("record", "keep", "ses_alice").output
    assert served.entries("record.kept") == []


def test_beside_a_running_service_the_local_way_names_the_other(served: Served) -> None:
    refused = served.run("record", "keep", "--list", person="oda")
    assert refused.exit_code == 2
    assert f"--server unix:{served.place.data.review_socket}" in refused.output


def test_an_export_verifies_by_itself_after_whose_tokens_were_withdrawn_was_erased(
    served: Served, tmp_path: Path
) -> None:
    alice = Revoked("https://issuer.example", RevokedBy.SUBJECT, "alice")
    made = Revocation(alice, None, "left", "oda", 0.0)
    entry = revocation_entry(Kind.TOKEN_REVOKED, made, PEOPLE["oda"])
    served.thread.run(served.record.store.revoke(made, entry))
    erase = ("record", "erase", "--subject", "alice", "--reason", "asked", "--yes")
    assert served.ask(*erase).exit_code == 0
    out = tmp_path / "out"
    assert served.run("audit", "export", str(out), person="ada").exit_code == 0
    assert verify(out).returncode == 0, verify(out).stdout
    (revoked,) = served.entries("token.revoked")
    assert revoked["data"]["subject"] == served.place.pseudonym(("https://issuer.example", "alice"))
    tombstones = out / "tombstones.jsonl"
    kept = tombstones.read_bytes().splitlines(keepends=True)
    tombstones.write_bytes(b"".join(line for line in kept if b"record.erasure_ordered" not in line))
    assert f"payload revoked of entry {revoked['seq']}" in verify(out).stdout


def test_an_erasure_goes_on_when_who_ordered_it_leaves(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroy, has_left = Erasures._destroy, asyncio.Event()

    async def late(self: Erasures, erasure: Any) -> None:
        await has_left.wait()
        await destroy(self, erasure)

    monkeypatch.setattr(Erasures, "_destroy", late)
    request = pb.ErasePersonRequest(
        pseudonym=served.place.pseudonym(("https://issuer.example", "alice")), reason="asked"
    )
    with grpc.insecure_channel(f"unix:{served.place.data.review_socket}") as channel:
        call = RecordServiceStub(channel).ErasePerson.future(
            request, metadata=(("authorization", "Bearer token-oda"),)
        )
        until(lambda: served.entries("record.erasure_ordered"))
        call.cancel()  # type: ignore[no-untyped-call]  # of grpc
    served.thread.run(_set(has_left))
    until(lambda: served.entries("record.erased"))


@pytest.mark.parametrize(
    ("pseudonym", "code"),
    [
        ("alice@example.com", grpc.StatusCode.INVALID_ARGUMENT),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
        ("0" * 32, grpc.StatusCode.NOT_FOUND),
    ],
)
def test_only_the_pseudonym_of_somebody_on_record_is_erased_or_kept(
    served: Served, pseudonym: str, code: grpc.StatusCode
) -> None:
    metadata = (("authorization", "Bearer token-oda"),)
    with grpc.insecure_channel(f"unix:{served.place.data.review_socket}") as channel:
        api = RecordServiceStub(channel)
        with pytest.raises(grpc.RpcError) as erase:
            api.ErasePerson(pb.ErasePersonRequest(pseudonym=pseudonym, reason="r"), metadata=metadata)
        with pytest.raises(grpc.RpcError) as keep:
            api.KeepRecord(pb.KeepRecordRequest(subject=pseudonym, reason="r"), metadata=metadata)
    assert (erase.value.code(), keep.value.code()) == (code, code)
    assert not served.entries("record.erasure_ordered")
    assert not served.entries("record.kept")


async def _set(event: asyncio.Event) -> None:
    event.set()


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
