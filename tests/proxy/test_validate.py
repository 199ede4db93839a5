"""Every edit that would open the gate is refused by name, and what may be tuned is not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.proxy.envoy_edits import PATHS, Edit, File, codes, drop, put, service_over_tcp, tcp, unlogged
from tests.proxy.openings import OF_THE_GATE
from tests.proxy.openings_around import AROUND_THE_GATE

from authz_service.proxy.gate_routes import PROTECTED
from authz_service.proxy.render import render
from authz_service.proxy.settings import EnvoySettings, Injected, ModelTarget
from authz_service.proxy.template import template_text
from authz_service.proxy.validate import check, validate

OPENINGS = OF_THE_GATE + AROUND_THE_GATE


@pytest.fixture(scope="module")
def rendered() -> Any:
    """The template, filled in, as Envoy would read it."""
    models = (
        ModelTarget("llama", "127.0.0.1", 8000, credential=Injected("authorization", "Bearer ", Path("/k"))),
        ModelTarget("org/big model", "models.example.com", 443, tls=True),
    )
    settings = EnvoySettings(
        host="127.0.0.1",
        port=10000,
        service_sockets=(Path("/run/authz/service.sock"),),
        admin_socket=Path("/run/authz/admin.sock"),
        models=models,
        authorities=Path("/ca.pem"),
    )
    return YAML(typ="safe").load(render(template_text(), settings))


@pytest.fixture
def file(rendered: Any) -> File:
    return File(copy.deepcopy(rendered))


@pytest.mark.parametrize(("code", "edit"), [o[1:] for o in OPENINGS], ids=[o[0] for o in OPENINGS])
def test_an_edit_that_opens_the_gate_is_refused_by_name(file: File, code: str, edit: Edit) -> None:
    edit(file)
    assert code in codes(file)


def test_a_try_of_check_may_take_as_long_as_all_tries(file: File) -> None:
    asked = file.authz["grpc_service"]
    (each,) = asked["initial_metadata"]
    assert int(each["value"]) == 1000 * int(asked["timeout"].removesuffix("s"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "not_yaml"),
        ("[]", "not_yaml"),
        ("node: {}\nnode: {}\n", "not_yaml"),
        ("node: {}\n---\nnode: {}\n", "not_yaml"),
        ("node: &a {}\nadmin: *a\n", "yaml_alias"),
        ("node: {<<: {id: x}}\n", "yaml_alias"),
        ("node: !ignore {}\n", "yaml_tag"),
        ("node: {} # \u2028admin: {}\n", "not_yaml"),
        ("node: {} # \radmin: {}\n", "not_yaml"),
        ("%YAML 1.1\n---\nnode: {}\n", "yaml_tag"),
        ("", "not_yaml"),
    ],
)
def test_a_file_with_two_readings_is_refused(text: str, code: str) -> None:
    assert code in codes(text)


def test_a_file_that_envoy_takes_for_true_and_we_for_a_word_is_refused(settings: EnvoySettings) -> None:
    text = render(template_text(), settings).replace("failure_mode_allow: false", "failure_mode_allow: yes")
    assert {"wrong_type", "fails_open"} <= codes(text)


@pytest.mark.parametrize(
    "edit",
    [
        put(lambda f: f.manager, "stream_flush_timeout", "90s"),
        put(lambda f: f.manager, "max_request_headers_kb", 32),
        put(lambda f: f.manager, "xff_num_trusted_hops", 1),
        put(lambda f: f.action, "timeout", "1200s"),
        put(lambda f: f.action, "idle_timeout", "9000s"),
        put(lambda f: f.model, "connect_timeout", "1s"),
        put(lambda f: f.model, "type", "LOGICAL_DNS"),
        put(lambda f: f.listener, "tcp_backlog_size", 128),
        put(lambda f: f.authz, "grpc_service", {"envoy_grpc": {"cluster_name": "authz_service"}}),
        drop(lambda f: f.document, "overload_manager"),
        drop(lambda f: f.manager, "access_log"),
        unlogged("%RESPONSE_CODE% %REQ(X-REQUEST-ID)% %START_TIME(%Y-%m-%d)% %RESP(X-AUTHZ-SESSION)%"),
    ],
)
def test_what_may_be_tuned_is_no_fault(file: File, edit: Edit) -> None:
    edit(file)
    assert check(file.document, paths=PATHS) == []


def test_a_listener_without_tls_is_accepted_beyond_this_machine_only_when_asked_for(file: File) -> None:
    file.listener["address"] = tcp("0.0.0.0", 10000)
    assert codes(file) == {"plain_listener"}
    assert codes(file, insecure=True) == set()


def test_the_service_may_be_reached_by_mutual_tls(file: File) -> None:
    service_over_tcp(file)
    socket = file.secure_model["transport_socket"]
    file.cluster("authz_service")["transport_socket"] = socket
    assert codes(file) == {"plain_service"}
    socket["typed_config"]["common_tls_context"]["tls_certificates"] = [
        {"certificate_chain": {"filename": "/c.pem"}, "private_key": {"filename": "/k.pem"}}
    ]
    assert codes(file) == set()


def test_each_fault_has_its_line(settings: EnvoySettings) -> None:
    text = (
        render(template_text(), settings)
        .replace("RETAIN", "")
        .replace("allow_mode_override: false", "allow_mode_override: true")
    )
    (fault,) = validate(text, paths=PATHS, ask_envoy=False)
    assert text.splitlines()[fault.line - 1].strip().startswith("allow_mode_override")
    assert fault.where.endswith("http_filters[1].typed_config.allow_mode_override")


def test_all_faults_are_reported_at_once(file: File) -> None:
    file.authz["failure_mode_allow"] = True
    file.proc["allow_mode_override"] = True
    file.document["admin"]["address"] = tcp("127.0.0.1", 1)
    assert {"fails_open", "mode_override", "admin_open"} <= codes(file)


def test_the_paths_of_all_model_apis_have_routes(file: File) -> None:
    assert check(file.document) == []
    file.route["match"]["prefix"] = "/nowhere"
    faults = check(file.document)
    assert {"/v1/chat/completions", "/.well-known/authz"} <= {fault.message.split()[0] for fault in faults}


def test_our_expression_names_all_headers_that_the_service_leaves_to_envoy(file: File) -> None:
    assert file.proc["mutation_rules"]["disallow_expression"]["regex"] == f"^({PROTECTED.pattern})$"


@pytest.mark.e2e
def test_envoy_itself_has_the_last_word(settings: EnvoySettings) -> None:
    text = render(template_text(), settings)
    assert validate(text) == []
    (fault,) = validate(text.replace("connect_timeout: 5s", "connect_timeout: -5s"))
    assert fault.code == "envoy_refuses"
    assert "positive duration" in fault.message


TUNABLE = {"timeout", "message_timeout", "max_receive_message_length", "name", "stat_prefix"}


TUNABLE |= {"num_retries", "retry_on", "base_interval", "max_interval", "suppress_envoy_headers"}


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all scalars."""
    if isinstance(node, dict):
        return [leaf for key, item in node.items() for leaf in leaves(item, (*path, key))]
    if isinstance(node, list):
        return [leaf for index, item in enumerate(node) for leaf in leaves(item, (*path, index))]
    return [path]


def test_no_other_value_is_taken_for_anything_in_the_gate_that_is_not_tunable(file: File) -> None:
    paths = [path for path in leaves(file.filters) if path[-1] not in TUNABLE]
    assert len(paths) > 40
    for path in paths:
        changed = File(copy.deepcopy(file.document))
        node = changed.filters
        for part in path[:-1]:
            node = node[part]
        value = node[path[-1]]
        node[path[-1]] = not value if isinstance(value, bool) else f"{value}x"
        assert codes(changed), path
