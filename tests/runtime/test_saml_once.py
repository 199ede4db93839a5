"""What is good once: assertions and codes, on whatever replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.runtime.saml_desk import SamlDesk, config_of, desk_of, landing
from tests.runtime.saml_served import Run, record, served
from tests.store.places import Place


def test_an_assertion_is_good_once_on_whatever_replica(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "two"
        folder.mkdir()
        place.clock.time = time.time()
        async with place.store() as one, desk_of(config_of(tmp_path), one) as desk:
            begun = await desk.begin()
            say = desk.say(begun)
            assert "code" in landing(await desk.post(say, begun))
            # A second listener with the same names, as a replica behind the same address has them.
            async with second_replica(place, desk) as other:
                again = landing(await other.post(say, begun))
                assert again["error"] == "access_denied"
                assert "used already" in again["error_description"]
                # Another assertion for the same login, too: one login, one answer.
                assert landing(await other.post(desk.say(begun), begun))["error"] == "access_denied"
            # And the same assertion for another login.
            later = await desk.begin()
            assert "error" in landing(await desk.post(say.but(in_response_to=later.request), later))
            codes = [data["code"] for kind, data in record(place.url) if kind == "login.refused"]
            assert codes + desk.counted == ["saml_replayed"] * 3

    run(scenario())


@asynccontextmanager
async def second_replica(place: Place, desk: SamlDesk) -> AsyncIterator[SamlDesk]:
    """On PostgreSQL over a connection of its own; SQLite serves one process."""
    if place.url.startswith("sqlite"):
        yield desk
        return
    from dataclasses import replace

    from tests.e2e.stack import free_port

    listener = replace(desk.listener, port=free_port())
    config = replace(desk.config, logins=replace(desk.config.logins, listener=listener))
    async with place.store(instance="two") as store, desk_of(config, store) as other:
        other.client = Redirected(desk.listener.port, listener.port)
        yield other
        await other.client.aclose()


class Redirected(httpx.AsyncClient):
    """Asks another port than the address says, as a proxy before two replicas does."""

    def __init__(self, said: int, meant: int) -> None:
        super().__init__(timeout=60)
        self._said, self._meant = f":{said}/", f":{meant}/"

    async def request(self, method: str, url: Any, **more: Any) -> httpx.Response:
        return await super().request(method, str(url).replace(self._said, self._meant), **more)


def test_of_eight_that_bring_an_assertion_at_once_one_gets_a_code(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            begun = await desk.begin()
            say = desk.say(begun)
            answers = await asyncio.gather(*(desk.post(say, begun) for _ in range(8)))
            landed = [landing(answer) for answer in answers]
            assert [("code" in each) for each in landed].count(True) == 1

    run(scenario())


def test_a_refusal_that_is_had_again_and_again_is_one_entry_and_a_count(
    sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            old = desk.say(await desk.begin(), confirmed=-1.0)
            for _ in range(4):
                begun = await desk.begin()
                wrong = landing(await desk.post(old, begun))
                assert wrong["error"] == "access_denied"
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            answers = [(await desk.exchange(code, begun)).status_code for _ in range(4)]
            assert answers == [200, 400, 400, 400]
            refused = [data["code"] for kind, data in record(sqlite_url) if kind == "login.refused"]
            assert refused == ["saml_wrong_request", "invalid_grant"]
            assert desk.counted == ["saml_wrong_request"] * 3 + ["invalid_grant"] * 2

    run(scenario())


def test_a_code_is_good_once_for_its_command_for_a_minute(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            for changes in (
                {"code_verifier": "x" * 43},
                {"code_verifier": ""},
                {"client_id": "authz-gateway"},
                {"redirect_uri": "http://127.0.0.1:4712/callback"},
                {"code": code[:-2] + ("AA" if code[-2:] != "AA" else "BA")},
                {"code": ""},
            ):
                answer = await desk.exchange(changes.pop("code", code), begun, **changes)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), changes
            desk.offset = 61.0
            assert (await desk.exchange(code, begun)).status_code == 400
            desk.offset = 0.0
            assert (await desk.exchange(code, begun)).status_code == 200
            again = await desk.exchange(code, begun)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
            assert record(place.url)[-1] == (
                "login.refused",
                {"provider": "corp", "door": "review", "code": "invalid_grant"},
            )
            assert desk.counted == ["invalid_grant"] * 7

    run(scenario())


def test_a_code_is_good_once_however_it_is_written(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            assert (await desk.exchange(code, begun)).status_code == 200
            other = code.replace("-", "+").replace("_", "/") + "=" * (-len(code) % 4)
            assert other != code
            answer = await desk.exchange(other, begun)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    run(scenario())
