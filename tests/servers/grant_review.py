"""The GrantService over a store in a file, and what reviewers ask of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST
from tests.servers.review_drafts import draft as waiting
from tests.servers.review_fakes import NO_REVISER
from tests.servers.review_made import BODY
from tests.servers.review_people import NOW, GroupRoles, People

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceStub
from authz_cli.refusals import code_of
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.grants import Traits
from authz_service.core.holds import Approval
from authz_service.core.stored_holds import HoldDraft, HoldLimits
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_concealing import Concealer, Veil
from authz_service.servers.review_grants import GrantReview
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore

TRAITS = Traits(("contractors", "tools"), ("search", "shell"), (), "a" * 64)


@contextmanager
def serving(
    thread: LoopThread, folder: Path, approvals: list[Approval], concealer: Concealer | None = None
) -> Iterator[tuple[SqlStore, GrantServiceStub]]:
    """A store in a file, and its grants; `approvals` are in force."""

    async def opened() -> SqlStore:
        return await open_store(
            f"sqlite:///{folder / 'authz.db'}",
            instance="test",
            pseudonym=lambda identity: hashlib.sha256(repr(identity).encode()).hexdigest(),
            clock=lambda: NOW,
        )

    folder.chmod(0o700)
    store = thread.run(opened())
    review = ReviewServer(
        store,
        People(),
        GroupRoles(),
        limits=HoldLimits,
        reviser=NO_REVISER,
        clock=lambda: NOW,
        grants=lambda calls: GrantReview(store, calls, lambda: approvals, Veil(concealer)),
    )
    server = review.serve(f"unix:{folder / 'review.sock'}")
    try:
        with grpc.insecure_channel(thread.run(server.__aenter__())) as channel:
            yield store, GrantServiceStub(channel)
    finally:
        thread.run(server.__aexit__(None, None, None))
        thread.run(store.close())


def draft(number: int) -> HoldDraft:
    """A request of alice's that is held, or goes through under a grant."""
    release = EntryDraft(Kind.REQUEST_RELEASED, f"ses_{number}", {"model": "llama"}, {"body": BODY})
    return replace(waiting(number), traits=TRAITS, release=release)


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-{name}"),)


def wish(**more: Any) -> pb.CreateGrantRequest:
    given: dict[str, Any] = {"hold": "hld_0", "digest": DIGEST, "uses": 2}
    request = pb.CreateGrantRequest(**given | more)
    request.until.FromSeconds(int(NOW) + 3600)
    return request


def refused(call: Any, request: Any, name: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call(request, metadata=as_(name))
    return error.value.code(), code_of(error.value)
