"""Real stores for what needs them."""

from __future__ import annotations

from tests.runtime.checkpoints_place import log_place as log_place
from tests.store.conftest import (  # noqa: F401 - fixtures
    place,
    postgres,
    postgres_url,
    run,
    sqlite_template,
    sqlite_url,
)
