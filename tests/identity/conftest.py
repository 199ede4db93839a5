"""An identity provider with keys of every kind, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.identity.jwks_asking import asking as asking
from tests.identity.provider import NOW, Provider, compact

from authz_service.identity.verifier import Verifier


class Clock:
    """Shows `now` until somebody sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="session")
def craft() -> Callable[[bytes, bytes, Callable[[bytes], bytes]], str]:
    return compact


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(provider: Provider, clock: Clock) -> Verifier:
    return Verifier([provider.trusted()], review_audience=provider.review, clock=clock)
