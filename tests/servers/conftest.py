"""What tests of servers are handed: served reviews and checks, tokens of people, and counted exchanges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.counted_exchanges import counts as counts
from tests.servers.ext_authz_fakes import issuer as issuer
from tests.servers.ext_authz_fakes import play as play
from tests.servers.ext_authz_fakes import token as token
from tests.servers.loop_thread import LoopThread
from tests.servers.review_asking import api as api
from tests.servers.review_asking import review as review


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()
