"""`service`: how Envoy reaches the service over TCP; never without every certificate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.config.gateway_values import Link
from authz_service.config.read import Loaded

SERVICE = """
service:
  addresses: ["authz-1:9443", "[::1]:9443"]
  listen: "0.0.0.0:9443"
  authority: ca.crt
  cert: service.crt
  key: service.key
  envoy_cert: envoy.crt
  envoy_key: /run/envoy.key
"""


def test_without_the_section_there_is_a_socket(load: Callable[[str], Loaded], smallest: str) -> None:
    assert load(smallest).config.link is None


def test_addresses_and_certificates_are_read(load: Callable[[str], Loaded], smallest: str) -> None:
    link = load(smallest + SERVICE).config.link
    assert isinstance(link, Link)
    assert link.addresses == (("authz-1", 9443), ("::1", 9443))
    assert link.listen == ("0.0.0.0", 9443)
    assert (link.cert.name, link.cert.is_absolute()) == ("service.crt", True)
    assert link.envoy_key == Path("/run/envoy.key")


def test_it_listens_where_it_is_found_unless_told_otherwise(
    load: Callable[[str], Loaded], smallest: str
) -> None:
    link = load(smallest + SERVICE.replace('  listen: "0.0.0.0:9443"\n', "")).config.link
    assert link is not None
    assert link.listen == ("authz-1", 9443)


@pytest.mark.parametrize("key", ["addresses", "authority", "cert", "key", "envoy_cert", "envoy_key"])
def test_nothing_of_it_may_be_missing(
    faults: Callable[[str], list[tuple[int, int, str]]], smallest: str, key: str
) -> None:
    lines = [line for line in SERVICE.split("\n") if not line.startswith(f"  {key}:")]
    assert [message for _, _, message in faults(smallest + "\n".join(lines)) if key in message]


def test_no_address_is_refused(faults: Callable[[str], list[tuple[int, int, str]]], smallest: str) -> None:
    text = smallest + SERVICE.replace('["authz-1:9443", "[::1]:9443"]', "[]")
    assert any("at least one" in message for _, _, message in faults(text))
