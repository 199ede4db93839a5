"""An exchange of which all that is dear is counted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from tests.servers.ext_proc_fakes import ALICE, CONFIG, Service, serving
from tests.servers.played_stream import Play
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.cel.evaluation import Bundle, CelConditions
from authz_service.inspection import repetition
from authz_service.keys.ids import new_id
from authz_service.view.caller import Caller

SAID = "Write to jane@example.org, please."
ANSWERED = "I wrote to joe@example.org."
ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": SAID}]}).encode()
WHOLE = json.dumps(
    {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": ANSWERED}, "finish_reason": "stop"}
        ]
    }
).encode()
EVENTS = [
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": f"No. {n}! "}}]}).encode() + b"\n\n"
    for n in range(20)
]
DONE = b"data: [DONE]\n\n"
TEN = CONFIG.replace(
    "  rules:\n    - {name: staff",
    "  rules:\n"
    + "".join(
        f"    - {{name: rule-{n}, when: \"'group-{n}' in caller.groups\", effect: deny}}\n" for n in range(10)
    )
    + "    - {name: staff",
)


@dataclass
class Counts:
    """What was decoded, by its text, and how often conditions, and the engine for them, were asked."""

    decoded: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    def of(self, text: bytes) -> int:
        """How often this very text was decoded."""
        return self.decoded.count(text.decode())


class Asked:
    """An expression of the engine's, each of whose evaluations counts."""

    def __init__(self, expression: Any, counts: Counts) -> None:
        self._expression = expression
        self._counts = counts

    def eval(self, activation: Any) -> Any:
        """As the engine does."""
        self._counts.asked["engine"] += 1
        return self._expression.eval(activation)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Every decoder of JSON that the service has, and every question to its rules."""
    counts = Counts()

    def noting(decode: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **named: Any) -> Any:
            (text,) = [each for each in arguments if isinstance(each, str | bytes)]
            counts.decoded.append(text if isinstance(text, str) else text.decode())
            return decode(*arguments, **named)

        return noted

    monkeypatch.setattr(json.JSONDecoder, "decode", noting(json.JSONDecoder.decode))
    monkeypatch.setattr(orjson, "loads", noting(orjson.loads))
    monkeypatch.setattr(repetition, "_decode", noting(json.JSONDecoder().decode))

    evaluate, begin = CelConditions.evaluate, Bundle.__init__

    def evaluated(self: Any, facts: Any) -> Any:
        counts.asked["conditions"] += 1
        return evaluate(self, facts)

    def begun(self: Any, *arguments: Any) -> None:
        begin(self, *arguments)
        self._expressions = [Asked(each, counts) for each in self._expressions]
        self._sum = self._sum and Asked(self._sum, counts)

    monkeypatch.setattr(CelConditions, "evaluate", evaluated)
    monkeypatch.setattr(Bundle, "__init__", begun)
    return counts


def played(
    folder: Path, scenario: Callable[[Service, Play, str], Awaitable[None]], counts: Counts
) -> list[Any]:
    """The log of a scenario on one stream; what the start decoded and asked does not count."""

    async def play() -> None:
        async with asyncio.timeout(60), serving(folder, TEN) as service, service.play() as stream:
            counts.decoded.clear()
            counts.asked.clear()
            await scenario(service, stream, new_id("ses"))

    with capture_logs() as logs:
        asyncio.run(play())
    return logs


async def ask(
    service: Service, play: Play, session: str, caller: Caller = ALICE, body: bytes = ASKED
) -> None:
    """Send a request, and wait until it goes on."""
    await play.send(request_headers(service.seal(caller, exchange=session)), request_body(body))


async def answer(play: Play, *pieces: bytes, kind: str = "application/json") -> None:
    """Once the request is released, what the model says, to its end."""
    while "request_body" not in play.kinds():
        assert await play.next() is not None
    *first, last = pieces
    await play.send(answer_headers(kind=kind), *map(answer_body, first), answer_body(last, end=True))
    await play.to_end()
