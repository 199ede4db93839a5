"""The `Store` of core/ports over SQL: writes go to the one writer, reads to threads of their own."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from authz_service.audit.draft import EntryDraft
from authz_service.audit.merkle import Frontier
from authz_service.core.acts import Act, ActDraft
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.core.grants import Grant, GrantEnd, GrantPage, GrantQuery, Maker, Terms
from authz_service.core.limits import Admission, Demand, Quota
from authz_service.core.live_sessions import ToEnd
from authz_service.core.notifications import Notification, NotificationPage, NotificationQuery, Queue
from authz_service.core.ports import (
    AlreadyRejected,
    AnswerWanted,
    Attached,
    Ballot,
    Entry,
    Hold,
    HoldChange,
    HoldDraft,
    HoldLimits,
    HoldQuery,
    HoldsNow,
    HoldState,
    HoldSummary,
    Opening,
    Page,
    Session,
    SessionQuery,
    TakenUp,
)
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked
from authz_service.core.usage import ActiveCaller, Left, Usage, UsageQuery
from authz_service.errors import AuthzError, Unavailable
from authz_service.keys.ids import new_id
from authz_service.store import (
    acting,
    admitting,
    api_key_rows,
    ending,
    exporting,
    grant_ending,
    grant_queries,
    granting,
    kept_rows,
    live_sessions,
    once_rows,
    opening,
    outbox_rows,
    policies,
    queries,
    recovery,
    revocation_rows,
    search_index,
    session_queries,
    taking_up,
    turning,
    usage_rows,
    voting,
)
from authz_service.store.database import READERS, Database, HighWater, read_head
from authz_service.store.faults import is_fault, unavailable, without_values
from authz_service.store.forgetting import Forgetting
from authz_service.store.hold_ages import HoldAges, hold_ages
from authz_service.store.keyring import Keyring
from authz_service.store.news import HoldNews
from authz_service.store.queries import Snapshot
from authz_service.store.queueing import Outbox
from authz_service.store.recovery import Heritage
from authz_service.store.signed_head import PROOF_SECONDS, SignedHead, frontier_at, signed_head
from authz_service.store.transaction import Transaction
from authz_service.store.usage_report import Report, days, gave_up
from authz_service.store.used import Remembered
from authz_service.store.writer import Commits, Writer

Result = TypeVar("Result")

REPORT_SECONDS = 25.0
"""For what reads many sessions; whoever asked on the command line waits for 30."""


class SqlStore:
    """Made by `open_store`. `size_at_start` is how many entries there were when it was opened."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        heritage: Heritage,
        high_water: HighWater,
        size_at_start: int,
        patience: float,
        keyring: Keyring | None = None,
        news: HoldNews | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._heritage = heritage
        self._high_water = high_water
        self._size_at_start = size_at_start
        self._patience = patience
        self._keyring = keyring
        self.news = news or HoldNews()
        """Which holds have changed, as soon as that is committed."""
        self.outbox = outbox or Outbox()
        """Who is to be told of what this process records."""
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._past_use = Remembered()  # the writer's thread alone looks into it
        self._is_closed = False

    def append(self, *drafts: EntryDraft) -> asyncio.Future[None]:
        """See `Store.append`."""

        def record(transaction: Transaction) -> None:
            transaction.record(*drafts)

        return self._writer.start(record, size=_size(drafts))

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "") -> None:
        """See `Store.append_own`."""
        await self._writer.run(lambda t: taking_up.append_own(t, drafts, stream), size=_size(drafts))

    def admit(self, demand: Demand, draft: EntryDraft) -> asyncio.Future[Admission]:
        """See `Store.admit`."""
        past = self._past_use
        return self._writer.start(lambda t: admitting.admit(t, demand, draft, past), size=_size((draft,)))

    async def usage(self, query: UsageQuery) -> Sequence[Usage]:
        """See `UsageStore.usage`."""
        bounds = await self._read(lambda reader: usage_rows.bounds(reader, query.since))
        if bounds is None:
            return ()
        report = Report(query)
        parts = days(query, first=bounds[0], now=bounds[1])
        ends = time.monotonic() + REPORT_SECONDS
        for done, part in enumerate(parts):
            try:
                async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                    rows = await self._read(
                        partial(usage_rows.usage, query=part), patience=2 * REPORT_SECONDS
                    )
            except TimeoutError as error:
                raise gave_up(done, len(parts), REPORT_SECONDS) from error
            report.add(rows)
        return report.rows()

    async def left(self, quotas: Collection[Quota]) -> Sequence[Left]:
        """See `UsageStore.left`."""
        return await self._read(lambda reader: usage_rows.left(reader, quotas), patience=REPORT_SECONDS)

    async def active_callers(self, since: float, caller: str, *, most: int) -> Sequence[ActiveCaller]:
        """See `UsageStore.active_callers`."""
        return await self._read(
            lambda reader: usage_rows.active_callers(reader, since, caller, most=most),
            patience=REPORT_SECONDS,
        )

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        """See `Store.open_hold`."""
        size = _size(draft.entries) + len(draft.forward)
        return await self._writer.run(lambda t: opening.open_hold(t, draft, limits), size=size)

    async def attach_answer(self, wanted: AnswerWanted) -> Attached | AlreadyRejected | None:
        """See `Store.attach_answer`."""
        return await self._writer.run(lambda t: opening.attach_answer(t, wanted), size=_size(wanted.entries))

    async def hold(self, hold_id: str) -> Hold | None:
        """See `Store.hold`."""
        return await self._read(lambda reader: queries.hold(reader, hold_id))

    async def summaries(self, holds: Collection[str]) -> Mapping[str, HoldSummary]:
        """See `Store.summaries`."""
        return await self._read(lambda reader: queries.summaries(reader, holds)) if holds else {}

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        """See `Store.holds_now`."""
        return await self._read(lambda reader: queries.holds_now(reader, holds))

    async def held_bytes(self, holds: Collection[str]) -> Mapping[str, bytes]:
        """See `Store.held_bytes`."""
        return await self._read(lambda reader: queries.held_bytes(reader, holds)) if holds else {}

    async def vote(self, ballot: Ballot, limits: HoldLimits) -> HoldSummary:
        """See `Store.vote`."""
        (outcome,) = await self.vote_all([ballot], limits)
        if isinstance(outcome, AuthzError):
            raise outcome
        return outcome

    async def vote_all(
        self, ballots: Sequence[Ballot], limits: HoldLimits
    ) -> Sequence[HoldSummary | AuthzError]:
        """See `Store.vote_all`."""
        vote_ids = [uuid.uuid4().hex for _ in ballots]
        return await self._writer.run(
            lambda t: voting.vote_all(t, ballots, limits, vote_ids=vote_ids),
            size=sum(len(ballot.reason) for ballot in ballots),
        )

    async def act(self, draft: ActDraft, limits: HoldLimits) -> HoldSummary:
        """See `Store.act`."""
        act_id = uuid.uuid4().hex
        return await self._writer.run(
            lambda t: acting.act(t, draft, limits, act_id=act_id), size=len(draft.text)
        )

    async def propose_grant(self, hold_id: str, *, terms: Terms, shown: str, by: Maker) -> Grant:
        """See `GrantStore.propose_grant`."""
        return await self._writer.run(
            lambda t: granting.propose(t, hold_id, terms=terms, shown=shown, by=by, new_id=new_id)
        )

    async def approve_grant(self, grant_id: str, *, digest: str, by: Maker) -> Grant:
        """See `GrantStore.approve_grant`."""
        return await self._writer.run(
            lambda t: granting.approve(t, grant_id, digest=digest, by=by, new_id=new_id)
        )

    async def revoke_grant(
        self, grant_id: str, *, by: Maker, killed: Callable[[str], EntryDraft] | None = None
    ) -> GrantEnd:
        """See `GrantStore.revoke_grant`."""
        act_id = new_id("act")
        return await self._writer.run(
            lambda t: grant_ending.revoke(t, grant_id, by=by, killed=killed, act_id=act_id)
        )

    async def grant(self, grant_id: str) -> Grant | None:
        """See `GrantStore.grant`."""
        return await self._read(lambda reader: grant_queries.one(reader, grant_id))

    async def grants(self, query: GrantQuery) -> GrantPage:
        """See `GrantStore.grants`."""
        return await self._read(lambda reader: grant_queries.listed(reader, query))

    async def act_with_key(self, hold_id: str, person: tuple[str, str], key: str) -> Act | None:
        """See `Store.act_with_key`."""
        return await self._read(lambda reader: queries.act_with_key(reader, hold_id, person, key))

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        """See `Store.consume`."""
        return await self._writer.run(
            lambda t: ending.consume(t, hold_id, digest=digest, session=session, entries=entries),
            size=_size(entries),
        )

    async def expire_overdue(self) -> int:
        """See `Store.expire_overdue`."""
        total = 0
        while swept := await self._writer.run(ending.expire_overdue):
            total += swept
        while turned := await self._writer.run(turning.take_all):
            total += turned
        return total

    async def hold_changes(self, after: int) -> Sequence[HoldChange]:
        """See `Store.hold_changes`."""
        return await self._read(lambda reader: queries.hold_changes(reader, after))

    async def hold_states(self, holds: Collection[str]) -> Mapping[str, HoldState]:
        """See `Store.hold_states`."""
        return await self._read(lambda reader: queries.hold_states(reader, holds)) if holds else {}

    async def hold_ages(self, bounds: Sequence[float]) -> HoldAges:
        """How long pending holds have waited, by these bounds in seconds."""
        return await self._read(lambda reader: hold_ages(reader, bounds))

    async def listen(self) -> None:
        """Pass on into `news` what other processes say, until cancelled; returns where none can be."""
        await self._database.listen(self.news)

    async def holds(self, query: HoldQuery) -> Page[HoldSummary]:
        """See `Store.holds`."""
        return await self._read(lambda reader: queries.list_holds(reader, query))

    async def waiting_for(self, holds: Collection[str]) -> Mapping[str, int]:
        """See `Store.waiting_for`."""
        return await self._read(lambda reader: live_sessions.waiting_for(reader, holds))

    async def sessions(self, query: SessionQuery) -> Page[Session]:
        """See `Store.sessions`."""
        return await self._read(lambda reader: session_queries.list_sessions(reader, query))

    async def session(self, session_id: str) -> Session | None:
        """See `Store.session`."""
        return await self._read(lambda reader: session_queries.session(reader, session_id))

    async def kill(self, session_id: str, entry: EntryDraft) -> Session:
        """See `LiveSessions.kill`."""
        return await self._writer.run(lambda t: live_sessions.kill(t, session_id, entry))

    async def to_end(self, running: Collection[str]) -> Sequence[ToEnd]:
        """See `LiveSessions.to_end`."""
        return await self._read(lambda t: live_sessions.to_end(t, running))

    async def policy_file(self, digest: str) -> bytes | None:
        """The file of the policy with this digest; None when it is not on record (any more)."""
        return await self._read(lambda reader: policies.policy_file(reader, digest))

    async def last_sequence(self) -> int:
        """See `Store.last_sequence`."""
        return await self._read(queries.last_sequence)

    async def entries_after(self, sequence: int, session: str = "") -> Sequence[Entry]:
        """See `LiveSessions.entries_after`."""
        return await self._read(lambda reader: live_sessions.entries_after(reader, sequence, session))

    async def index_step(self, *, has_texts: bool, most: int = search_index.ENTRIES_AT_ONCE) -> bool:
        """Take the next entries into the search index, `most` of them; True while there may be more.

        With `has_texts` what was asked and answered can be searched; without, nothing of it is in the index.
        Who records waits for a step: many entries at once are for a store that nobody uses yet.
        """
        found = await self._read(
            lambda reader: search_index.next_step(reader, has_texts=has_texts, most=most),
            patience=PROOF_SECONDS,
        )
        if found is None:
            return False
        await self._writer.run(lambda t: search_index.take(t, found), size=found.size)
        return True

    async def entries(self, session_id: str) -> Sequence[Entry]:
        """See `Store.entries`."""
        return await self._read(lambda reader: queries.list_entries(reader, session_id))

    async def recover(self) -> int:
        """See `Store.recover`; sessions that began after this store was opened are left alone."""
        total = 0
        while ended := await self._writer.run(
            lambda t: recovery.recover(t, heritage=self._heritage, up_to=self._size_at_start)
        ):
            total += ended
        return total

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        """See `Store.take_up`."""
        return await self._writer.run(lambda t: taking_up.take_up(t, session_id, stream))

    async def now(self) -> float:
        """See `Store.now`."""
        return await self._read(lambda reader: reader.now / 1_000_000)

    async def signed_head(self, since: Frontier | None = None) -> SignedHead:
        """The head as it is committed, with the proof that it only adds to the tree of `since`.

        Reads the leaf hashes that were added, or all of them without `since`; no proof then.
        """
        return await self._read(lambda reader: signed_head(reader, since), patience=PROOF_SECONDS)

    async def payloads_of(self, first: int, last: int | None) -> int:
        """How many payloads entries `first` to `last` have (None: all), without values before masking.

        Counted are those of the same time: those of entries that were committed together with the first or
        the last one too.
        """
        return await self._read(
            lambda reader: exporting.payloads_of(reader, first, last), patience=PROOF_SECONDS
        )

    async def frontier_at(self, size: int) -> Frontier | None:
        """The right edge of the tree over the first `size` entries; None when some of them are missing."""
        return await self._read(lambda reader: frontier_at(reader, size), patience=PROOF_SECONDS)

    async def revoke(self, revocation: Revocation, entry: EntryDraft) -> None:
        """See `RevocationStore.revoke`."""
        await self._writer.run(lambda t: revocation_rows.revoke(t, revocation, entry))

    async def restore(self, what: Revoked, entry: EntryDraft) -> bool:
        """See `RevocationStore.restore`."""
        return await self._writer.run(lambda t: revocation_rows.restore(t, what, entry))

    async def use_once(self, entry: EntryDraft) -> None:
        """See `OnceStore.use_once`."""
        await self._writer.run(lambda t: once_rows.use_once(t, entry))

    async def owned(self, names: Collection[str], owner: str) -> bool:
        """See `KeptStore.owned`."""
        return await self._read(lambda reader: kept_rows.owned(reader, names, owner))

    async def revocations(self, known: str = "") -> RevocationsRead | None:
        """See `RevocationStore.revocations`."""
        return await self._read(lambda reader: revocation_rows.read(reader, known))

    async def create_key(self, key: ApiKey, entry: EntryDraft) -> ApiKey:
        """See `ApiKeyStore.create_key`."""
        return await self._writer.run(lambda t: api_key_rows.create(t, key, entry))

    async def rotate_key(self, key: ApiKey, entry: EntryDraft, *, until: float) -> ApiKey:
        """See `ApiKeyStore.rotate_key`."""
        return await self._writer.run(lambda t: api_key_rows.rotate(t, key, entry, until=until))

    async def revoke_key(self, key_id: str, entry: EntryDraft) -> ApiKey:
        """See `ApiKeyStore.revoke_key`."""
        return await self._writer.run(lambda t: api_key_rows.revoke(t, key_id, entry))

    async def changed_keys(self, after: int = 0) -> KeysRead | None:
        """See `ApiKeyStore.changed_keys`."""
        return await self._read(lambda reader: api_key_rows.changed(reader, after))

    async def api_keys(self) -> tuple[ApiKey, ...]:
        """See `ApiKeyStore.api_keys`."""
        return await self._read(api_key_rows.every)

    async def claim_notifications(self, receiver: str, *, most: int, lease: float) -> Sequence[Notification]:
        """See `NotificationStore.claim_notifications`."""
        return await self._writer.run(lambda t: outbox_rows.claim(t, receiver, most=most, lease=lease))

    async def delivered(self, notification: Notification) -> bool:
        """See `NotificationStore.delivered`."""
        return await self._writer.run(lambda t: outbox_rows.delivered(t, notification))

    async def not_delivered(self, notification: Notification, *, error: str, again_in: float | None) -> bool:
        """See `NotificationStore.not_delivered`."""
        return await self._writer.run(
            lambda t: outbox_rows.not_delivered(t, notification, error=error, again_in=again_in)
        )

    async def queues(self) -> Sequence[Queue]:
        """See `NotificationStore.queues`."""
        return await self._read(outbox_rows.queues)

    async def tidy_notifications(self, receivers: Collection[str], *, keep: float) -> int:
        """See `NotificationStore.tidy_notifications`."""
        return await self._writer.run(lambda t: outbox_rows.tidy(t, receivers, keep=keep))

    async def notifications(self, query: NotificationQuery) -> NotificationPage:
        """See `NotificationStore.notifications`."""
        return await self._read(lambda reader: outbox_rows.listed(reader, query))

    async def notification(self, notification_id: str) -> Notification | None:
        """See `NotificationStore.notification`."""
        return await self._read(lambda reader: outbox_rows.one(reader, notification_id))

    async def retry_notification(self, notification_id: str, entry: EntryDraft, *, tries: float) -> None:
        """See `NotificationStore.retry_notification`."""
        await self._writer.run(lambda t: outbox_rows.retry(t, notification_id, entry, tries=tries))

    async def probe(self) -> None:
        """Raise `Unavailable` unless the record could be written to now; nothing is."""
        await self._writer.run(_nothing)

    @property
    def commits(self) -> Commits:
        """How long commits have taken."""
        return self._writer.commits

    @property
    def queued(self) -> int:
        """Units of work that wait to be committed."""
        return self._writer.queued

    @property
    def forgetting(self) -> Forgetting:
        """Lets go of what is on record, and keeps what must be."""
        return Forgetting(self, self._keyring)

    async def change(self, work: Callable[[Transaction], Result]) -> Result:
        """See `Units.change`."""
        return await self._writer.run(work)

    async def ask(self, question: Callable[[Snapshot], Result], *, patience: float) -> Result:
        """See `Units.ask`."""
        return await self._read(question, patience=patience)

    async def close(self) -> None:
        """Commit what is waiting and close all connections; afterwards everything is `Unavailable`."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._database.close)
        if self._keyring is not None:
            await asyncio.to_thread(self._keyring.close)

    async def _read(self, question: Callable[[Snapshot], Result], *, patience: float = 0.0) -> Result:
        if self._is_closed:
            raise Unavailable("the record store is closed", code="store_closed")
        try:
            async with asyncio.timeout(max(patience, self._patience)):
                return await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, question)
        except TimeoutError as error:
            raise unavailable() from error

    def _ask(self, question: Callable[[Snapshot], Result]) -> Result:
        try:
            with self._database.reading.connect() as connection:
                last_at = read_head(connection).last_at
                now = self._high_water.advance(self._database.clock(connection), last_at)
                return question(Snapshot(connection, now, self._keyring))
        except Exception as error:
            if is_fault(error):
                raise unavailable() from without_values(error)
            raise


def _size(drafts: Sequence[EntryDraft]) -> int:
    return sum(len(body) for draft in drafts for body in draft.payloads.values())


def _nothing(_transaction: Transaction) -> None:
    """What a probe does in a transaction."""
