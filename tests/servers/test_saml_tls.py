"""The listener for logins speaks TLS, and takes a new certificate without a restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from tests.e2e.stack import free_port
from tests.identity.saml_idp import Signer, signer
from tests.servers.shown_certificates import shown, write

from authz_service.config.gateway_values import Tls
from authz_service.config.identity_values import LoginListener
from authz_service.errors import Misconfigured
from authz_service.servers.saml_http import SamlListener
from authz_service.servers.saml_tls import context_of, follow


def listener(tls: Tls) -> SamlListener:
    """One that is never asked anything."""
    nothing = cast("Any", None)
    return SamlListener(LoginListener("https://x", "127.0.0.1", free_port(), tls), nothing, look=0.01)


async def until_shown(address: str, wanted: Signer) -> None:
    async with asyncio.timeout(60):
        while await shown(address) != wanted.certificate:
            await asyncio.sleep(0.02)


def test_a_new_certificate_takes_no_restart_and_half_of_one_changes_nothing(tmp_path: Path) -> None:
    one, two, three = signer("one"), signer("two"), signer("three")

    async def scenario() -> None:
        async with listener(write(tmp_path, one, one)).serve() as address:
            assert await shown(address) == one.certificate
            write(tmp_path, cert=two)
            for _ in range(10):
                assert await shown(address) == one.certificate
            write(tmp_path, key=two)
            await until_shown(address, two)
            (tmp_path / "login.crt").unlink()
            assert await shown(address) == two.certificate
            write(tmp_path, three, three)
            await until_shown(address, three)

    asyncio.run(scenario())


def test_files_that_change_while_they_are_taken_are_looked_at_again(tmp_path: Path) -> None:
    one, two = signer("one"), signer("two")

    async def scenario() -> None:
        tls = write(tmp_path, one, one)
        context = Failing(context_of(tls))
        following = asyncio.create_task(follow(tls, cast("Any", context), every=0.01))
        await asyncio.sleep(0)  # it has looked once
        write(tmp_path, two, two)
        async with asyncio.timeout(60):
            while not context.loaded:
                assert not following.done()
                await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(scenario())


class Failing:
    """A context that takes nothing the first time, as if the key had been replaced meanwhile."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.failed, self.loaded = asyncio.Event(), 0

    def load_cert_chain(self, *files: Any, **more: Any) -> None:
        if not self.failed.is_set():
            self.failed.set()
            raise ssl.SSLError("key values mismatch")
        self._context.load_cert_chain(*files, **more)
        self.loaded += 1


def test_tls_before_1_2_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with listener(write(tmp_path, signer(), signer())).serve() as address:
            with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, OSError)):
                await shown(address, version=ssl.TLSVersion.TLSv1_1)

    asyncio.run(scenario())


def test_files_that_do_not_belong_together_are_refused_at_the_start(tmp_path: Path) -> None:
    async def scenario(tls: Tls) -> None:
        async with listener(tls).serve():
            raise AssertionError("it serves")

    for tls in (write(tmp_path, signer("one"), signer("two")), Tls(tmp_path / "none", tmp_path / "none")):
        with pytest.raises(Misconfigured, match=r"login\.listen"):
            asyncio.run(scenario(tls))


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        serving = listener(write(tmp_path, signer(), signer()))
        async with serving.serve():
            with pytest.raises(Misconfigured, match="cannot listen on"):
                async with serving.serve():
                    raise AssertionError("it serves")

    asyncio.run(scenario())
