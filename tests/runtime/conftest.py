"""Real stores for what needs them."""

from __future__ import annotations

from tests.store.conftest import (  # noqa: F401 - fixtures
    place,
    postgres,
    postgres_url,
    run,
    sqlite_template,
    sqlite_url,
)
