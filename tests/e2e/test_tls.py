"""TLS at the gateway's own listener: its certificate is replaced while requests are on their way."""

from __future__ import annotations

import shutil
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.people import approve, hold_of, in_background, until
from tests.e2e.stack import CHAT, CONFIG, Stack

from authz_service.keys.certificates import make_certificates

PLAIN = 'listen: {{address: "127.0.0.1:{port}"}}'


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A gateway with a certificate in `tls/`."""
    folder = tmp_path / "tls"
    made(folder)
    assert PLAIN in CONFIG
    tls = f"tls: {{{{cert: {folder}/service.crt, key: {folder}/service.key}}}}"
    with Stack(tmp_path, config=CONFIG.replace(PLAIN, PLAIN.replace("}}", f", {tls}}}}}"))) as running:
        yield running


def made(folder: Path) -> Path:
    """A certificate of an authority of its own."""
    make_certificates(folder, ["127.0.0.1"], days=2)
    return folder


def shown(stack: Stack) -> str:
    """The certificate that the gateway shows now."""
    host, port = stack.url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=60)


def is_shown(stack: Stack, folder: Path) -> bool:
    return shown(stack) == (folder / "service.crt").read_text()


def renamed(source: Path, target: Path, *names: str) -> None:
    """As a tool does that replaces files whole."""
    for name in names:
        beside = target / f".{name}.new"
        shutil.copy(source / name, beside)
        beside.replace(target / name)


def ask(stack: Stack, folder: Path, token: str) -> httpx.Response:
    """A client that verifies the gateway."""
    context = ssl.create_default_context(cafile=folder / "authority.crt")
    headers = {"authorization": f"Bearer {token}"}
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, json=CHAT, headers=headers, verify=context, timeout=60)


def test_a_certificate_that_is_replaced_by_a_rename_is_shown_without_a_restart(
    stack: Stack, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    shutil.copytree(tmp_path / "tls", first)
    asking = in_background(lambda: ask(stack, first, stack.token("carol", "contractors")))
    hold = hold_of(stack, "carol")
    envoy = stack.child("envoy")
    second = made(tmp_path / "second")
    renamed(second, tmp_path / "tls", "service.crt", "service.key")
    until(lambda: is_shown(stack, second), "the new certificate is shown")
    assert ask(stack, second, stack.token("alice", "staff")).status_code == 200
    with pytest.raises(httpx.ConnectError):
        ask(stack, first, stack.token("alice", "staff"))
    approve(stack, hold)
    assert asking.result(60).status_code == 200  # what was held before goes on as if nothing had been
    assert stack.child("envoy") == envoy


def test_half_of_a_new_pair_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    second = made(tmp_path / "second")
    first = tmp_path / "first"
    shutil.copytree(tmp_path / "tls", first)
    renamed(second, tmp_path / "tls", "service.crt")
    stack.process.send_signal(signal.SIGHUP)
    until(lambda: "the certificate stays as it was" in stack.logs(), "the pair is refused")
    assert is_shown(stack, first)
    renamed(second, tmp_path / "tls", "service.key")
    until(lambda: is_shown(stack, second), "the new certificate is shown")


def test_files_that_were_written_over_are_taken_in_by_sighup_each_time(stack: Stack, tmp_path: Path) -> None:
    for name in ("second", "third", "fourth"):
        folder = made(tmp_path / name)
        for file in ("service.crt", "service.key"):
            (tmp_path / "tls" / file).write_bytes((folder / file).read_bytes())
        stack.process.send_signal(signal.SIGHUP)
        until(lambda folder=folder: is_shown(stack, folder), f"the {name} certificate is shown")  # type: ignore[misc]  # mypy cannot infer a lambda's default
