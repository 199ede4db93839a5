"""Rendering fills in what changes from machine to machine, and leaves the rest to the operator."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as configured
from hypothesis import strategies as st
from ruamel.yaml import YAML

from authz_service.config.gateway_values import Link
from authz_service.errors import Misconfigured
from authz_service.proxy.render import render
from authz_service.proxy.settings import EnvoySettings, Injected, ModelTarget
from authz_service.proxy.template import template_text
from authz_service.proxy.validate import check

SDS = Path("/run/authz/credentials/x.yaml")
CREDENTIAL = Injected("x-api-key", "", SDS)


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


def parts(text: str) -> tuple[list[Any], list[Any]]:
    """The routes and the clusters of models."""
    resources = loaded(text)["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    return named(routes), named(resources["clusters"])


def named(items: list[Any]) -> list[Any]:
    return [item for item in items if item["name"].startswith("model/")]


def with_models(settings: EnvoySettings, *models: ModelTarget) -> EnvoySettings:
    return dataclasses.replace(settings, models=models)


names = st.just("sample") | st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)
targets = st.builds(
    ModelTarget,
    name=names,
    host=st.sampled_from(["127.0.0.1", "::1", "models.example.com"]),
    port=st.integers(1, 65535),
    tls=st.booleans(),
    base=st.sampled_from(["", "/base", "/a/b"]),
    credential=st.sampled_from([None, CREDENTIAL]),
)


# Not shrunk: each rendering takes a tenth of a second, and any models that fail are small.
@configured(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.lists(targets, min_size=1, max_size=3, unique_by=lambda target: target.name))
def test_any_models_give_a_file_that_keeps_the_gate_shut_and_renders_to_itself(
    models: list[ModelTarget],
) -> None:
    settings = EnvoySettings(
        host="127.0.0.1",
        port=10000,
        service_sockets=(Path("/run/a.sock"),),
        admin_socket=Path("/run/b.sock"),
        models=tuple(models),
        authorities=Path("/ca.pem"),
    )
    text = render(template_text(), settings)
    assert check(loaded(text)) == []
    assert render(text, settings) == text
    routes, clusters = parts(text)
    expected = [f"model/{model.name}" for model in models]
    assert [route["route"]["cluster"] for route in routes] == expected
    assert [cluster["name"] for cluster in clusters] == expected
    headers = [route["match"]["headers"][0]["string_match"]["exact"] for route in routes]
    assert headers == [model.name for model in models]


LINK = Link(
    addresses=(("authz-1", 9443), ("10.0.0.5", 9443)),
    listen=("0.0.0.0", 9443),
    authority=Path("/link/authority.crt"),
    cert=Path("/link/service.crt"),
    key=Path("/link/service.key"),
    envoy_cert=Path("/link/envoy.crt"),
    envoy_key=Path("/link/envoy.key"),
)


def test_a_service_on_another_host_is_reached_with_a_certificate_of_both_sides(
    settings: EnvoySettings,
) -> None:
    text = render(
        template_text(), dataclasses.replace(settings, link=LINK, link_certificate=Path("/data/link.yaml"))
    )
    assert check(loaded(text)) == []
    (cluster,) = [c for c in loaded(text)["static_resources"]["clusters"] if c["name"] == "authz_service"]
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    sockets = [endpoint["endpoint"]["address"]["socket_address"] for endpoint in endpoints]
    assert [(s["address"], s["port_value"]) for s in sockets] == [("authz-1", 9443), ("10.0.0.5", 9443)]
    context = cluster["transport_socket"]["typed_config"]["common_tls_context"]
    (shown,) = context["tls_certificate_sds_secret_configs"]
    assert shown["sds_config"]["path_config_source"]["path"] == "/data/link.yaml"
    names = context["validation_context"]["match_typed_subject_alt_names"]
    assert sorted(name["matcher"]["exact"] for name in names) == ["10.0.0.5", "authz-1"]
    assert cluster["type"] == "STRICT_DNS"
    assert render(text, settings) == render(template_text(), settings)


def test_comments_stay(settings: EnvoySettings) -> None:
    text = render(template_text(), with_models(settings, *reversed(settings.models)))
    comments = [line.strip() for line in template_text().splitlines() if line.strip().startswith("#")]
    rendered = [line.strip() for line in text.splitlines()]
    assert [comment for comment in comments if comment not in rendered] == []


def test_what_an_operator_tuned_stays(settings: EnvoySettings) -> None:
    tuned = template_text().replace("stream_flush_timeout: 60s", "stream_flush_timeout: 90s")
    assert "stream_flush_timeout: 90s" in render(tuned, settings)


def test_what_was_tuned_for_one_model_stays_with_it(settings: EnvoySettings) -> None:
    text = render(template_text(), settings)
    tuned = text.replace("connect_timeout: 5s", "connect_timeout: 7s", 1)
    third = ModelTarget("third", "127.0.0.1", 8002)
    _, clusters = parts(render(tuned, with_models(settings, third, *settings.models)))
    assert [cluster["connect_timeout"] for cluster in clusters] == ["7s", "7s", "5s"]


def test_a_model_that_is_gone_leaves_nothing_behind(settings: EnvoySettings) -> None:
    text = render(template_text(), settings)
    again = render(text, with_models(settings, settings.models[1]))
    assert "llama" not in again


def test_the_idle_timeout_is_raised_and_never_lowered(settings: EnvoySettings) -> None:
    longer = render(template_text(), dataclasses.replace(settings, idle_timeout=9000.0))
    assert longer.count("idle_timeout: 9000s") == 3
    assert render(longer, settings).count("idle_timeout: 9000s") == 3


def test_each_process_of_the_service_is_an_endpoint(settings: EnvoySettings) -> None:
    sockets = tuple(Path(f"/run/{n}.sock") for n in range(3))
    document = loaded(render(template_text(), dataclasses.replace(settings, service_sockets=sockets)))
    (service,) = [c for c in document["static_resources"]["clusters"] if c["name"] == "authz_service"]
    endpoints = service["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [e["endpoint"]["address"]["pipe"]["path"] for e in endpoints] == [str(s) for s in sockets]


def test_tls_comes_and_goes_with_the_settings(settings: EnvoySettings) -> None:
    secure = dataclasses.replace(settings, host="0.0.0.0", certificate=Path("/certificate.yaml"))
    text = render(template_text(), secure)
    assert check(loaded(text)) == []
    assert "DownstreamTlsContext" in text
    assert "DownstreamTlsContext" not in render(text, settings)


def test_a_model_over_https_is_verified_by_authority_and_name(settings: EnvoySettings) -> None:
    _, clusters = parts(render(template_text(), settings))
    tls = clusters[1]["transport_socket"]["typed_config"]
    validation = tls["common_tls_context"]["validation_context"]
    assert tls["sni"] == "models.example.com"
    assert validation["trusted_ca"]["filename"] == str(settings.authorities)
    (name,) = validation["match_typed_subject_alt_names"]
    assert name == {"san_type": "DNS", "matcher": {"exact": "models.example.com"}}


def test_only_a_model_with_a_credential_has_one_put_in(settings: EnvoySettings) -> None:
    with_it = ModelTarget("a", "127.0.0.1", 1, credential=CREDENTIAL)
    without = ModelTarget("b", "127.0.0.1", 2)
    for models in [(with_it, without), (without, with_it)]:
        _, clusters = parts(render(template_text(), with_models(settings, *models)))
        found = {c["name"]: "credential_injector" in str(c) for c in clusters}
        assert found == {"model/a": True, "model/b": False}


@pytest.mark.parametrize(
    "text", ["[", "{}", "static_resources: {listeners: []}", "- a", template_text().replace("model/", "x/")]
)
def test_a_file_that_lacks_what_is_filled_in_is_refused(settings: EnvoySettings, text: str) -> None:
    with pytest.raises(Misconfigured):
        render(text, settings)


def test_a_model_that_has_the_samples_name_and_one_that_is_new_are_two(settings: EnvoySettings) -> None:
    models = (ModelTarget("sample", "127.0.0.1", 1), ModelTarget("new", "127.0.0.1", 2))
    routes, clusters = parts(render(template_text(), with_models(settings, *models)))
    assert [route["name"] for route in routes] == ["model/sample", "model/new"]
    ports = [str(cluster["load_assignment"]["endpoints"]) for cluster in clusters]
    assert len(set(ports)) == 2


def test_the_service_is_shown_client_certificates_only_where_they_count(settings: EnvoySettings) -> None:
    secure = dataclasses.replace(settings, certificate=Path("/sds.yaml"))
    asking = dataclasses.replace(secure, client_authority=Path("/clients.pem"))
    with_them, without = render(template_text(), asking), render(template_text(), secure)
    assert check(loaded(with_them)) == []
    chain = loaded(with_them)["static_resources"]["listeners"][0]["filter_chains"][0]
    common = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert common["validation_context"] == {"trusted_ca": {"filename": "/clients.pem"}}
    assert "include_peer_certificate: true" in with_them
    assert "include_peer_certificate" not in without
    assert "include_peer_certificate" not in render(with_them, secure)
