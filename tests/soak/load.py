"""A load that remembers exactly what it sent and received, for comparing with the record afterwards."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import dataclass, field

import httpx
from tests.e2e.upstream_answers import Answer, Received, completion, stream

WORDS = ["alpha ", "beta ", "mail john@exa", "mple.org ", "gamma ", "4111 1111 ", "1111 1111 ", "delta."]


@dataclass(slots=True)
class Call:
    """One request of the load. `mark` stands in its text; `received` are the body's bytes that came."""

    mark: str
    group: str
    session: str = ""
    status: int = 0
    received: bytes = b""


@dataclass(slots=True)
class Load:
    """Threads that send one request after another until `stop`; every outcome is kept in `calls`."""

    url: str
    tokens: dict[str, str]
    calls: list[Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, threads: int) -> None:
        """Begin."""
        for number in range(threads):
            thread = threading.Thread(target=self._run, args=(number,), name=f"load-{number}")
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End after the requests under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        count = 0
        with httpx.Client(timeout=httpx.Timeout(20.0)) as client:
            while not self._stop.is_set():
                count += 1
                group = chance.choice(["staff", "staff", "staff", "contractors", "strangers"])
                call = Call(f"mark-{number}-{count}-", group)
                self.calls.append(call)
                self._send(client, call, is_streamed=chance.random() < 0.8)
                if call.status in (0, 503):
                    self._stop.wait(0.05)  # the service is away; nothing is learned from asking faster

    def _send(self, client: httpx.Client, call: Call, *, is_streamed: bool) -> None:
        document = {
            "model": "llama",
            "stream": is_streamed,
            "messages": [{"role": "user", "content": f"{call.mark} from jane@example.com"}],
        }
        headers = {"authorization": f"Bearer {self.tokens[call.group]}", "content-type": "application/json"}
        url = f"{self.url}/v1/chat/completions"
        try:
            with client.stream("POST", url, content=json.dumps(document), headers=headers) as answer:
                call.session = answer.headers.get("x-authz-session", "")
                call.status = answer.status_code
                for piece in answer.iter_raw():
                    call.received += piece
        except httpx.HTTPError:
            return  # what a kill does to a caller; what came before it counts


def slow_answer(request: Received) -> Answer:
    """The model's side: a stream in small pieces with little pauses, or a whole completion."""
    if not request.json().get("stream"):
        return completion("".join(WORDS))
    answer = stream(WORDS * 3)
    steps: list[bytes | float] = []
    for step in answer.steps:
        assert isinstance(step, bytes)
        steps += [step, 0.01]
    return Answer(headers=answer.headers, steps=steps)
