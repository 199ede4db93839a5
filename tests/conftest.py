"""Properties have no time limit, for an example or for making them: it would measure the machine.

In CI they try the same examples in each run, so that a change is refused for what it did; elsewhere others
each time.

A store that a test opens waits a minute for anything: a busy machine stands still for longer than a service
may, whose five seconds say nothing there.

And where bytecode may not be written beside sources (PYTHONDONTWRITEBYTECODE) it is kept elsewhere: hundreds
of processes are started, and each would spend most of its start on compiling the same files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("unhurried")

if sys.dont_write_bytecode and sys.pycache_prefix is None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "pycache")
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ["PYTHONPYCACHEPREFIX"]


@pytest.fixture(scope="session", autouse=True)
def stores_are_patient() -> None:
    """See above."""
    from authz_service.store.open import open_store
    from authz_service.store.writer import WriterLimits

    defaults = open_store.__kwdefaults__
    assert defaults is not None
    defaults["limits"] = WriterLimits(patience=60.0)
