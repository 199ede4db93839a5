"""What tests of logins by SAML share: desks that are served, and what is on their record."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select
from tests.runtime.saml_desk import SamlDesk, config_of, desk_of
from tests.store.places import Place

from authz_service.audit.entry import decode
from authz_service.errors import AuthzError
from authz_service.store.schema import entries

Run = Callable[[Coroutine[Any, Any, None]], None]


@asynccontextmanager
async def served(place: Place, folder: Path, **more: Any) -> AsyncIterator[SamlDesk]:
    """One replica over the test's database."""
    place.clock.time = time.time()
    async with place.store() as store, desk_of(config_of(folder, **more), store) as desk:
        yield desk


def record(url: str) -> list[tuple[str, dict[str, Any]]]:
    """All entries about logins: kind and data."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            bodies = connection.execute(select(entries.c.body).order_by(entries.c.seq)).scalars().all()
            read = [decode(bytes(body)) for body in bodies]
            return [(entry.kind, dict(entry.data)) for entry in read if entry.kind.startswith("login.")]
    finally:
        engine.dispose()


async def refusal(desk: SamlDesk, token: str, *, is_review: bool) -> str:
    """Why a door does not take a token."""
    verifier = desk.verifier()
    try:
        await (verifier.verify_review(token) if is_review else verifier.verify_gateway(token))
    except AuthzError as error:
        return error.code
    finally:
        await verifier.close()
    return ""
