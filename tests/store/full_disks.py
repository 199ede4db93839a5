"""A database that has no room left."""

from __future__ import annotations

from authz_service.store.sql_store import SqlStore


async def set_most_pages(store: SqlStore, pages: int) -> None:
    """What makes SQLite say that the disk is full; it counts for the writer's connection."""
    statement = f"PRAGMA max_page_count = {pages}"
    await store._writer.run(lambda t: t._connection.exec_driver_sql(statement).scalar())
