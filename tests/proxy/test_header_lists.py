"""The lists of headers that Envoy's file and the service each enforce agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from authz_service.framing.headers import (
    ANSWER_ALLOWED,
    ENVOY_OWNED,
    REQUEST_ALLOWED,
    SECRET_HEADERS,
    to_remove,
)
from authz_service.proxy.gate_routes import PROTECTED
from authz_service.proxy.template import template_text


def test_what_is_hidden_from_the_service_is_taken_off_by_envoy() -> None:
    listener = YAML(typ="safe").load(template_text())["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    rules = manager["http_filters"][1]["typed_config"]["forward_rules"]
    hidden = {pattern["exact"] for pattern in rules["disallowed_headers"]["patterns"]}
    assert hidden == SECRET_HEADERS
    assert set(manager["route_config"]["request_headers_to_remove"]) >= hidden


def test_no_list_of_what_crosses_has_what_may_hold_a_credential() -> None:
    secrets = SECRET_HEADERS | {"set-cookie", "www-authenticate", "proxy-authenticate"}
    assert not secrets & (REQUEST_ALLOWED | ANSWER_ALLOWED)


def test_what_the_service_leaves_to_envoy_is_what_envoy_forbids_it_to_touch() -> None:
    assert all(PROTECTED.fullmatch(name) for name in ENVOY_OWNED | {"x-envoy-internal"})
    assert not any(PROTECTED.fullmatch(name) for name in REQUEST_ALLOWED | ANSWER_ALLOWED)


@given(st.lists(st.sampled_from([*REQUEST_ALLOWED, *ENVOY_OWNED, *SECRET_HEADERS, ":path", "x-other"])))
def test_what_is_left_is_on_the_list_or_envoys(names: list[str]) -> None:
    removed = to_remove(tuple(names), REQUEST_ALLOWED)
    left = {name for name in names if name not in removed}
    assert left <= REQUEST_ALLOWED | ENVOY_OWNED | {":path"}
    assert not set(removed) & (REQUEST_ALLOWED | ENVOY_OWNED | {":path"})
    assert len(removed) == len(set(removed))
