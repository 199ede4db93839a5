"""Two Envoys on one service, which they reach by mutual TLS: it is one gateway, whichever a caller asks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.e2e.loads import load_on
from tests.e2e.people import approve, asking, chat, connection_of, hold_of, received, said, until
from tests.e2e.stack import CONFIG, free_port
from tests.e2e.test_hosts import SERVICE
from tests.soak.apart import Apart

from authz_service.keys.certificates import make_certificates
from authz_service.proxy.binary import envoy_path

TEXT = "Plan a party"


class Second(Apart):
    """The same service, by another Envoy's address."""

    address = ""

    @property
    def url(self) -> str:
        return self.address


@contextmanager
def another_envoy(stack: Apart, folder: Path) -> Iterator[Second]:
    """An Envoy with a data directory and a port of its own, rendered from what is the same file otherwise."""
    port, rendered, config = free_port(), folder / "envoy.yaml", folder / "authz.yaml"
    config.write_text(
        stack.config_file.read_text().replace(stack.url.removeprefix("http://"), f"127.0.0.1:{port}")
    )
    options = ["--config", str(config), "--data-dir", str(folder / "data"), "-o", str(rendered)]
    stack.cli("envoy", "render", *options)
    command = [str(envoy_path()), "-c", str(rendered), "--use-dynamic-base-id", "-l", "warning"]
    with (folder / "second.log").open("ab") as log:
        envoy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    second = Second(stack.folder, upstream=stack.upstream)
    second.address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(second), "the second Envoy answers")
        yield second
    finally:
        envoy.terminate()
        envoy.wait(60)


def answers(stack: Apart) -> bool:
    """Whether its Envoy does."""
    try:
        return httpx.get(f"{stack.url}/v1/models").status_code == 401
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Apart, Second]]:
    folder, port = tmp_path_factory.mktemp("link"), free_port()
    make_certificates(folder, ["127.0.0.1"], days=2)
    section = SERVICE.replace(', "127.0.0.1:{two}"', "").format(one=port, own=port, folder=folder)
    with (
        Apart(tmp_path_factory.mktemp("service"), config=CONFIG + section, wait="5m") as first,
        another_envoy(first, tmp_path_factory.mktemp("second")) as second,
    ):
        yield first, second


def test_requests_go_through_both_and_are_in_one_record(both: tuple[Apart, Second]) -> None:
    first, second = both
    with load_on(first) as load, load_on(second) as other:
        load.go_on()
        other.go_on()
    assert load.failures + other.failures == []
    first.cli("audit", "verify", "--config", str(first.config_file))


def test_who_left_one_envoy_finds_the_hold_through_the_other(both: tuple[Apart, Second]) -> None:
    first, second = both
    with connection_of(first, "lou", TEXT):
        hold = hold_of(first, "lou")
    hold_of(first, "lou", waiting=0)
    waiting = asking(second, "lou", TEXT)
    assert hold_of(second, "lou")["id"] == hold["id"]
    approve(first, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(first, TEXT)) == 1


def test_who_waits_loses_nothing_when_the_other_envoy_dies(both: tuple[Apart, Second]) -> None:
    first, second = both
    waiting = asking(second, "sam", TEXT)
    hold = hold_of(second, "sam")
    first.kill_envoy()
    assert second.post(chat("Hello"), "staff").status_code == 200
    approve(second, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    first.start_envoy()
    until(lambda: answers(first), "the first Envoy answers again")
    assert first.post(chat("Hello"), "staff").status_code == 200
