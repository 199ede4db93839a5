"""The `Store` of core/ports over SQL, joined of its parts."""

from __future__ import annotations

from authz_service.store.database import Database, HighWater
from authz_service.store.forgetting import Forgetting
from authz_service.store.forgotten_rows import SeenForgotten
from authz_service.store.keyring import Keyring
from authz_service.store.news import HoldNews
from authz_service.store.parts.credentials import SqlCredentials
from authz_service.store.parts.grants import SqlGrants
from authz_service.store.parts.holds import SqlHolds
from authz_service.store.parts.notifications import SqlNotifications
from authz_service.store.parts.record import SqlRecord
from authz_service.store.parts.sessions import SqlSessions
from authz_service.store.parts.usage import SqlUsage
from authz_service.store.queueing import Outbox
from authz_service.store.recovery import Heritage
from authz_service.store.sealing import Pseudonym
from authz_service.store.used import Remembered
from authz_service.store.writer import Writer


class SqlStore(SqlRecord, SqlSessions, SqlHolds, SqlGrants, SqlUsage, SqlCredentials, SqlNotifications):
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
        pseudonym: Pseudonym,
        keyring: Keyring | None = None,
        news: HoldNews | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        super().__init__(database, writer, high_water=high_water, patience=patience, keyring=keyring)
        self._heritage = heritage
        self._size_at_start = size_at_start
        self._past_use = Remembered()
        self._named = set()
        self._seen = SeenForgotten()
        self.forgetting = Forgetting(self, keyring, self._seen, pseudonym, is_shared=database.is_shared)
        """Lets go of what is on record, and keeps what must be."""
        self.news = news or HoldNews()
        """Which holds have changed, as soon as that is committed."""
        self.outbox = outbox or Outbox()
        """Who is to be told of what this process records."""

    async def listen(self) -> None:
        """Pass on into `news` what other processes say, until cancelled; returns where none can be."""
        await self._database.listen(self.news)

    async def close(self) -> None:
        """Leave what takes long to the next start, and close as `SqlUnits.close`."""
        await self.forgetting.close()
        await super().close()
