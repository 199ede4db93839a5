"""Two services apart, on one PostgreSQL, behind one Envoy that reaches both by mutual TLS."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.crew import KEYS
from tests.e2e.loads import load_on
from tests.e2e.people import approve, ask, asking, chat, hold_of, in_background, received, said, until
from tests.e2e.stack import CONFIG, free_port
from tests.e2e.test_workers import resumptions
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream
from tests.soak.apart import Apart
from tests.store.postgres_for_tests import PostgresForTests

from authz_service.keys.certificates import make_certificates

pytestmark = pytest.mark.postgres

SERVICE = """\
service:
  addresses: ["127.0.0.1:{one}", "127.0.0.1:{two}"]
  listen: "127.0.0.1:{own}"
  authority: {folder}/authority.crt
  cert: {folder}/service.crt
  key: {folder}/service.key
  envoy_cert: {folder}/envoy.crt
  envoy_key: {folder}/envoy.key
"""

MANUAL = (Path(__file__).parents[2] / "docs" / "workers.md").read_text()
KEY_FILES = re.findall(
    r"`(\w+\.(?:key|pem))`", MANUAL.partition("## Hosts")[2].partition("not `instance`")[0]
)
"""What an operator copies from the first host, as the manual names it, and nothing else."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Apart, Apart]]:
    """The first has Envoy too; the second got its keys, as an operator copies them."""
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    folder = tmp_path_factory.mktemp("link")
    make_certificates(folder, ["127.0.0.1"], days=2)
    ports = (free_port(), free_port())
    keys = KEYS.replace("{keys}", server.url(server.create(template="template1")))
    store = server.url(server.create())

    def host(own: int) -> Apart:
        section = SERVICE.format(one=ports[0], two=ports[1], own=own, folder=folder)
        return Apart(tmp_path_factory.mktemp("host"), config=CONFIG + keys + section, store=store)

    one, two = host(ports[0]), host(ports[1])
    try:
        with one.upstream, two.upstream:
            one.write_config()
            two.write_config(model_url=one.upstream.url)
            one.start()
            for name in KEY_FILES:
                if (one.data / name).exists():
                    two.data.mkdir(mode=0o700, exist_ok=True)
                    shutil.copy(one.data / name, two.data)
            two.start_service()
            try:
                yield one, two
            finally:
                two.stop()
                one.stop()
    finally:
        server.remove()


def test_no_request_notices_that_a_host_stops_in_order(hosts: tuple[Apart, Apart]) -> None:
    one, two = hosts
    gate = one.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    one.upstream.answer_with(*[Answer(headers=SSE_TYPE, steps=(first, gate, *rest))] * 6)
    paused = [in_background(lambda: one.post(chat("Hello", stream=True), "staff")) for _ in range(6)]
    one.upstream.wait_for_requests(6)  # some by each host, which keep it from stopping at once
    with load_on(one, large=3) as load:
        stopping = in_background(two.stop)
        load.go_on(60)
        gate.open()
        stopping.result(60)
        two.start_service()
        load.go_on()
    assert load.failures == []
    assert [answer.result(60).status_code for answer in paused] == [200] * 6


def test_what_waits_on_a_host_that_dies_goes_on_on_the_other(hosts: tuple[Apart, Apart]) -> None:
    one, two = hosts
    client = one.sdk("ann", "staff", max_retries=10)
    assert said(ask(client, "Hello")) == "Hello from upstream."
    waiting: dict[str, Future[Any]] = {}
    holds: dict[str, dict[str, Any]] = {}
    owners: dict[str, str] = {}
    while len(waiting) < 4 or len(set(owners.values())) < 2:
        assert len(waiting) < 30, "Envoy found both of them"
        name = f"caller-{len(waiting):02}"
        waiting[name] = asking(one, name, f"I am {name}")
        holds[name] = hold_of(two, name)
        begun = two.session(holds[name]["session"])["events"][0]
        owners[name] = str(begun["data"]["instance"])
    own = (one.data / "instance").read_text()
    one.kill_service()
    for name, hold in holds.items():
        if owners[name] == own:
            until(lambda: resumptions(two, hold["session"]), "the other host has it")  # noqa: B023 - called here
        approve(two, hold)
    assert [said(answer.result(60)) for answer in waiting.values()] == ["Hello from upstream."] * len(waiting)
    assert all(len(received(one, f"I am {name}")) == 1 for name in waiting)
