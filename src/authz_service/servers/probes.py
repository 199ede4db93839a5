"""What an orchestrator asks of a process: does it live, and is it ready for requests?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

import orjson

from authz_service.errors import AuthzError

SECONDS = 3.0
"""What an answer may take; an event loop that does not turn meanwhile is no live one."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer, and whether it is a good one."""

    is_well: bool
    said: bytes


class Probed(Protocol):
    """What is asked, from another thread than that which it runs on."""

    def live(self) -> Health:
        """Whether it goes on at all; one that does not is to be started again."""
        ...

    def ready(self) -> Health:
        """Whether requests may be sent to it."""
        ...


class Probe(Protocol):
    """A record that says whether it can be written to."""

    async def probe(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ProcessProbes:
    """The probes of one process, which runs on `loop`.

    It is ready while `is_serving`, which it does under a policy only, and its record can be written to.
    """

    store: Probe
    is_serving: Callable[[], bool]
    loop: asyncio.AbstractEventLoop

    def live(self) -> Health:
        """By its event loop."""
        return _answer(live=self._says(asyncio.sleep(0)))

    def ready(self) -> Health:
        """By its record."""
        if not self.is_serving():
            return _answer(ready="it is being started or stopped, or its new rules are not on record yet")
        return _answer(ready=self._says(self.store.probe()))

    def _says(self, question: Coroutine[None, None, None]) -> str:
        """What is wrong; nothing where all is well."""
        try:
            asyncio.run_coroutine_threadsafe(question, self.loop).result(SECONDS)
        except AuthzError as error:
            return error.code
        except TimeoutError:
            return "it does not answer"
        return ""


def _answer(**asked: str) -> Health:
    ((name, why),) = asked.items()
    said = {name: not why} | ({"why": why} if why else {})
    return Health(not why, orjson.dumps(said))
