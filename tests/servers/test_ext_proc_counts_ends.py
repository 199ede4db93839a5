"""What a refusal, a failure, copies and tasks of an exchange come to is counted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers.counted_exchanges import (
    ANSWERED,
    ASKED,
    DONE,
    EVENTS,
    SAID,
    WHOLE,
    Counts,
    answer,
    ask,
    played,
)
from tests.servers.ext_proc_fakes import ALICE, Service
from tests.servers.played_stream import Play

from authz_service.audit.draft import EntryDraft
from authz_service.cel.evaluation import CelConditions
from authz_service.core.events import BodyRead
from authz_service.runtime.mailbox import AnswerChunk
from authz_service.servers.ext_proc_stream import EnvoyStream


def test_a_refusal_is_one_message_one_commit_and_no_line_in_the_log(tmp_path: Path, counts: Counts) -> None:
    async def scenario(service: Service, play: Play, session: str) -> None:
        await ask(service, play, session, replace(ALICE, groups=()))
        await play.to_end()
        assert play.kinds() == ["immediate_response"]
        assert service.store.calls == ["append"]
        assert counts.of(ASKED) == 1
        assert counts.asked == {"conditions": 1, "engine": 1}

    assert played(tmp_path, scenario, counts) == []


def test_an_exchange_that_fails_is_one_line_in_the_log(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise RuntimeError("a bug of ours")

    async def scenario(service: Service, play: Play, session: str) -> None:
        monkeypatch.setattr(CelConditions, "evaluate", fails)
        await ask(service, play, session)
        await play.to_end()
        await service.is_let_go(session)
        await service.kinds(session)

    (line,) = played(tmp_path, scenario, counts)
    assert (line["event"], line["error"]) == ("process.failed", "RuntimeError")


def test_bodies_that_nobody_changes_are_never_copied(
    tmp_path: Path, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is the very object that is recorded and sent on, on either side."""
    asked = ASKED.replace(SAID.encode(), b"Hello")
    whole = WHOLE.replace(ANSWERED.encode(), b"Hello to you")
    came: list[bytes] = []
    sent: list[bytes] = []
    recorded: list[bytes] = []

    def noting(cls: type, name: str, into: list[bytes]) -> None:
        real = getattr(cls, name)

        def noted(self: Any, body: bytes, *more: Any, **named: Any) -> Any:
            into.append(body)
            return real(self, body, *more, **named)

        monkeypatch.setattr(cls, name, noted)

    noting(EnvoyStream, "forward", sent)
    noting(EnvoyStream, "answer", sent)
    noting(BodyRead, "__init__", came)
    noting(AnswerChunk, "__init__", came)

    async def scenario(service: Service, play: Play, session: str) -> None:
        append = service.store.append

        async def noted(*drafts: EntryDraft) -> None:
            recorded.extend(draft.payloads["body"] for draft in drafts if "body" in draft.payloads)
            await append(*drafts)

        service.store.append = noted  # type: ignore[method-assign]  # to see what is recorded
        await ask(service, play, session, body=asked)
        await answer(play, whole)
        assert came == [asked, whole]
        for bodies in (sent, recorded):
            assert [id(body) for body in bodies] == [id(body) for body in came]

    assert played(tmp_path, scenario, counts) == []


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_nothing_of_an_exchange_is_a_task_of_its_own_but_reading_ahead(
    tmp_path: Path, counts: Counts, *, is_stream: bool
) -> None:
    """Each task is a wake-up more; what is judged, recorded and sent on is the stream's."""
    made: list[str] = []

    def noting(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        code = getattr(work, "cr_code", None)
        if code is not None and "authz_service" in code.co_filename:
            made.append(code.co_qualname)
        return asyncio.Task(work, loop=loop, **more)

    async def scenario(service: Service, play: Play, session: str) -> None:
        asyncio.get_running_loop().set_task_factory(noting)
        await ask(service, play, session)
        if is_stream:
            await answer(play, *EVENTS, DONE, kind="text/event-stream")
            assert made == ["Mailbox._read_on"], (
                "one for the whole answer, while its first piece is committed"
            )
        else:
            await answer(play, WHOLE)
            assert made == []

    assert played(tmp_path, scenario, counts) == []
