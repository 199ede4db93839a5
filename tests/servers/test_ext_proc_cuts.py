"""An answer is the masking of the whole however Envoy cuts its bytes, and nothing raw when masking fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import grpc
import pytest
from tests.servers.ext_proc_fakes import Service, serving
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.keys.ids import new_id
from authz_service.masking.seams import Progress
from authz_service.masking.stream import PlainStream

ASKED = json.dumps(
    {"model": "llama", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
).encode()
_EVENTS = (
    {"reasoning_content": "Ask jäne\u200b@exam"},
    {"reasoning_content": "ple.com? "},
    {"content": "Yes 😀: jörg@ex"},
    {"content": "ämple.com, or \\u006aoe\\u0040ex"},
    {"content": "ample.org."},
)
STREAM = (
    b"".join(
        b"event: x\r\ndata: %s\r\n\r\n"
        % json.dumps({"choices": [{"index": 0, "delta": delta}]}, ensure_ascii=n % 2 == 0).encode()
        for n, delta in enumerate(_EVENTS)
    )
    + b":\n\ndata: [DONE]\n\n"
)


async def released(service: Service, pieces: Sequence[bytes]) -> tuple[bytes, bytes]:
    """What goes to the caller, and what is on record as that."""
    session = new_id("ses")
    async with service.play() as play:
        await play.send(request_headers(service.seal(exchange=session)), request_body(ASKED))
        await play.send(answer_headers(kind="text/event-stream"), *map(answer_body, pieces[:-1]))
        await play.send(answer_body(pieces[-1], end=True))
        await play.to_end()
        assert play.status is grpc.StatusCode.OK
        return play.body("response_body"), await service.payloads(session, Kind.ANSWER_RELEASED)


def _cuts(random: Random) -> Iterator[list[bytes]]:
    yield [STREAM[at : at + 1] for at in range(len(STREAM))]
    for at in range(1, len(STREAM), 13):
        yield [STREAM[:at], STREAM[at:]]
    for _ in range(30):
        places = sorted(random.sample(range(1, len(STREAM)), random.randint(2, 40)))
        yield [STREAM[a:b] for a, b in zip([0, *places], [*places, len(STREAM)], strict=True)]


def _spoken(body: bytes) -> dict[str, str]:
    spoken: dict[str, str] = {}
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            for key, text in json.loads(line[6:])["choices"][0]["delta"].items():
                spoken[key] = spoken.get(key, "") + text
    return spoken


def test_any_cut_of_an_answers_bytes_gives_the_masking_of_the_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(100), serving(tmp_path) as service:
            whole, _ = await released(service, [STREAM])
            assert _spoken(whole) == {
                "reasoning_content": "Ask [EMAIL_ADDRESS]? ",
                "content": "Yes 😀: [EMAIL_ADDRESS], or [EMAIL_ADDRESS].",
            }
            assert whole.endswith(b":\n\ndata: [DONE]\n\n")
            for pieces in _cuts(Random(7)):
                out, recorded = await released(service, pieces)
                assert out == recorded == whole, pieces

    asyncio.run(scenario())


def test_when_masking_fails_in_the_middle_nothing_that_waits_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Envoy ends the caller's answer with a reset then; the record has what went out, and the end."""
    feed = PlainStream.feed

    def failing(stream: PlainStream, text: str) -> Progress:
        if "ämple" in text:
            raise RuntimeError("a detector that fails")
        return feed(stream, text)

    monkeypatch.setattr(PlainStream, "feed", failing)

    async def scenario() -> None:
        session = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:
            # As it comes: gRPC's client drops what nobody has read yet when the stream ends with an error.
            reading = asyncio.create_task(play.to_end())
            await play.send(request_headers(service.seal(exchange=session)), request_body(ASKED))
            await play.send(answer_headers(kind="text/event-stream"))
            events = STREAM.split(b"\r\n\r\n")
            for event in events[:-1]:
                await play.send(answer_body(event + b"\r\n\r\n"))
            await play.send(answer_body(events[-1], end=True))
            await reading
            heard = play.body("response_body")
            assert _spoken(heard) == {"reasoning_content": "Ask [EMAIL_ADDRESS]? "}
            assert play.status is grpc.StatusCode.INTERNAL
            assert (await service.kinds(session))[-1] == Kind.EXCHANGE_ENDED.value
            assert await service.payloads(session, Kind.ANSWER_RELEASED) == heard

    asyncio.run(scenario())
