"""Every edit that would open the gate is refused by name, and what may be tuned is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from authz_service.framing.headers import SECRET_HEADERS
from authz_service.proxy.gate_routes import PROTECTED
from authz_service.proxy.model_parts import gateway_tls
from authz_service.proxy.render import render
from authz_service.proxy.settings import EnvoySettings, Injected, ModelTarget
from authz_service.proxy.template import template_text
from authz_service.proxy.validate import check, validate

PATHS = ("/v1/chat/completions",)
Edit = Callable[["File"], object]


class File:
    """A rendered file, with names for the parts that edits reach for."""

    def __init__(self, document: Any) -> None:
        self.document = document

    @property
    def resources(self) -> Any:
        return self.document["static_resources"]

    @property
    def service_pipe(self) -> Any:
        cluster = next(c for c in self.resources["clusters"] if c["name"] == "authz_service")
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        return endpoint["address"]["pipe"]

    @property
    def listener(self) -> Any:
        return self.resources["listeners"][0]

    @property
    def chain(self) -> Any:
        return self.listener["filter_chains"][0]

    @property
    def manager(self) -> Any:
        return self.chain["filters"][0]["typed_config"]

    @property
    def filters(self) -> Any:
        return self.manager["http_filters"]

    def filter(self, index: int) -> Any:
        return self.filters[index]["typed_config"]

    @property
    def authz(self) -> Any:
        return self.filter(0)

    @property
    def proc(self) -> Any:
        return self.filter(1)

    @property
    def rbac(self) -> Any:
        return self.filter(2)

    @property
    def config(self) -> Any:
        return self.manager["route_config"]

    @property
    def host(self) -> Any:
        return self.config["virtual_hosts"][0]

    @property
    def route(self) -> Any:
        return self.host["routes"][0]

    @property
    def action(self) -> Any:
        return self.route["route"]

    def cluster(self, name: str) -> Any:
        return next(c for c in self.resources["clusters"] if c["name"] == name)

    @property
    def model(self) -> Any:
        return self.cluster("model/llama")

    @staticmethod
    def options(cluster: Any) -> Any:
        (options,) = cluster["typed_extension_protocol_options"].values()
        return options

    @property
    def model_filters(self) -> Any:
        return self.options(self.model)["http_filters"]

    @property
    def secure_model(self) -> Any:
        return self.cluster("model/org/big model")

    @property
    def verification(self) -> Any:
        tls = self.secure_model["transport_socket"]["typed_config"]["common_tls_context"]
        return tls["validation_context"]


def codes(file: File | str, **options: Any) -> set[str]:
    """The codes of all faults: of a text, or of a document that is in our hands already."""
    if isinstance(file, str):
        return {fault.code for fault in validate(file, paths=PATHS, ask_envoy=False, **options)}
    return {fault.code for fault in check(file.document, paths=PATHS, **options)}


def tcp(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}


def per_route(disabled: bool) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
    return {"envoy.filters.http.ext_proc": {"@type": kind, "disabled": disabled}}


def asking_clients(validation: dict[str, Any]) -> dict[str, Any]:
    """The listener's TLS, with this check of the certificates that clients show."""
    typed: dict[str, Any] = gateway_tls(Path("/sds.yaml"), Path("/ca.pem"))["typed_config"]
    typed["common_tls_context"]["validation_context"] = validation
    return typed


RETRY = {"retry_on": "5xx", "num_retries": 2}
MIRROR = [{"cluster": "model/llama"}]
TAP = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    },
}
TCP_PROXY = {
    "name": "envoy.filters.network.tcp_proxy",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "t",
        "cluster": "model/llama",
    },
}
LUA = {
    "name": "envoy.filters.http.lua",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"},
}
LAYER = {"layers": [{"name": "l", "static_layer": {"envoy.reloadable_features.x": False}}]}


def swap(items: list[Any], one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


def second_listener(file: File) -> None:
    file.resources["listeners"].append(
        {
            "name": "side",
            "address": tcp("127.0.0.1", 10001),
            "filter_chains": [{"filters": [TCP_PROXY]}],
        }
    )


def service_over_tcp(file: File) -> None:
    endpoint = {"endpoint": {"address": tcp("127.0.0.1", 9000)}}
    file.cluster("authz_service")["load_assignment"]["endpoints"][0]["lb_endpoints"] = [endpoint]


def model_at_the_service(file: File) -> None:
    service = file.cluster("authz_service")["load_assignment"]["endpoints"]
    file.model["load_assignment"]["endpoints"] = service


def model_at_admin(file: File) -> None:
    address = file.document["admin"]["address"]["pipe"]["path"]
    endpoint = {"endpoint": {"address": {"pipe": {"path": address}}}}
    file.model["load_assignment"]["endpoints"] = [{"lb_endpoints": [endpoint]}]


def unlogged(format_string: str) -> Edit:
    def edit(file: File) -> None:
        log = file.manager["access_log"][0]["typed_config"]
        log["log_format"]["json_format"]["x"] = format_string

    return edit


def put(part: Callable[[File], Any], key: str, value: Any) -> Edit:
    def edit(file: File) -> None:
        part(file)[key] = value

    return edit


def drop(part: Callable[[File], Any], key: Any) -> Edit:
    def edit(file: File) -> None:
        del part(file)[key]

    return edit


OPENINGS: list[tuple[str, str, Edit]] = [
    # The gate is there, whole and in order.
    ("no ext_authz", "ext_authz_missing", drop(lambda f: f.filters, 0)),
    ("no ext_proc", "ext_proc_missing", drop(lambda f: f.filters, 1)),
    ("no rbac", "rbac_missing", drop(lambda f: f.filters, 2)),
    ("no filters", "ext_authz_missing", drop(lambda f: f.manager, "http_filters")),
    ("ext_proc before ext_authz", "filter_order", lambda f: swap(f.filters, 0, 1)),
    ("rbac before ext_proc", "filter_order", lambda f: swap(f.filters, 1, 2)),
    ("a second ext_proc", "filter_repeated", lambda f: f.filters.insert(1, f.filters[1])),
    ("a filter of another kind", "unknown_filter", lambda f: f.filters.insert(2, LUA)),
    ("a filter that is off", "filter_disabled", put(lambda f: f.filters[1], "disabled", True)),
    ("a filter that may be missing", "filter_disabled", put(lambda f: f.filters[2], "is_optional", True)),
    (
        "off for a route",
        "filter_overridden",
        put(lambda f: f.route, "typed_per_filter_config", per_route(True)),
    ),
    (
        "off for a host",
        "filter_overridden",
        put(lambda f: f.host, "typed_per_filter_config", per_route(True)),
    ),
    ("off for all", "filter_overridden", put(lambda f: f.config, "typed_per_filter_config", per_route(True))),
    ("a share passes", "filter_disabled", put(lambda f: f.authz, "filter_enabled", {})),
    ("authz in shadow", "fails_open", put(lambda f: f.authz, "shadow_mode", True)),
    ("proc observes", "fails_open", put(lambda f: f.proc, "observability_mode", True)),
    # It fails closed.
    ("authz fails open", "fails_open", put(lambda f: f.authz, "failure_mode_allow", True)),
    ("proc fails open", "fails_open", put(lambda f: f.proc, "failure_mode_allow", True)),
    ("authz errors are 200", "fails_open", put(lambda f: f.authz, "status_on_error", {"code": "OK"})),
    ("proc errors are 200", "fails_open", put(lambda f: f.proc, "status_on_error", {"code": "OK"})),
    ("no status on error", "fails_open", drop(lambda f: f.proc, "status_on_error")),
    ("no refusals", "fails_open", put(lambda f: f.proc, "disable_immediate_response", True)),
    # It reads everything.
    *[
        (f"{mode} is {value}", "processing_mode", put(lambda f: f.proc["processing_mode"], mode, value))
        for mode, value in [
            ("request_body_mode", "BUFFERED_PARTIAL"),
            ("request_body_mode", "NONE"),
            ("request_body_mode", "BUFFERED"),
            ("response_body_mode", "STREAMED"),
            ("response_body_mode", "NONE"),
            ("request_header_mode", "SKIP"),
            ("response_header_mode", "SKIP"),
            ("request_trailer_mode", "SKIP"),
            ("response_trailer_mode", "DEFAULT"),
        ]
    ],
    ("no modes", "processing_mode", drop(lambda f: f.proc, "processing_mode")),
    ("no trailers", "processing_mode", drop(lambda f: f.proc["processing_mode"], "request_trailer_mode")),
    ("modes change", "mode_override", put(lambda f: f.proc, "allow_mode_override", True)),
    ("a partial body", "partial_body", put(lambda f: f.authz, "with_request_body", {"max_request_bytes": 9})),
    ("lengths stay", "smuggling", put(lambda f: f.proc, "allow_content_length_header", True)),
    ("HTTP/1 read otherwise", "smuggling", put(lambda f: f.manager, "http_protocol_options", {})),
    # The decision counts, and nothing else.
    ("the lock denies instead", "rbac_loosened", put(lambda f: f.rbac["rules"], "action", "DENY")),
    ("the lock only counts", "fails_open", put(lambda f: f.rbac, "shadow_rules", {"action": "ALLOW"})),
    ("no rules", "rbac_loosened", drop(lambda f: f.rbac, "rules")),
    (
        "anybody passes the lock",
        "rbac_loosened",
        put(lambda f: f.rbac["rules"]["policies"]["decided"], "principals", [{"any": True}]),
    ),
    (
        "a second policy",
        "rbac_loosened",
        put(lambda f: f.rbac["rules"]["policies"], "too", {"permissions": [{"any": True}]}),
    ),
    (
        "another's metadata",
        "metadata",
        put(lambda f: f.proc["metadata_options"], "receiving_namespaces", {"untyped": ["other"]}),
    ),
    ("no metadata", "metadata", drop(lambda f: f.proc, "metadata_options")),
    ("the route stays", "route_cache", put(lambda f: f.proc, "route_cache_action", "RETAIN")),
    ("the route is cleared", "route_cache", put(lambda f: f.authz, "clear_route_cache", True)),
    # What the service may change.
    ("mutations unchecked", "mutation_rules", put(lambda f: f.authz, "validate_mutations", False)),
    ("mutations by default", "mutation_rules", drop(lambda f: f.proc, "mutation_rules")),
    (
        "host may change",
        "mutation_rules",
        put(lambda f: f.proc["mutation_rules"], "allow_all_routing", True),
    ),
    (
        "a looser expression",
        "mutation_rules",
        put(lambda f: f.proc["mutation_rules"], "disallow_expression", {"regex": "^host$"}),
    ),
    ("Check changes headers", "mutation_rules", drop(lambda f: f.authz, "decoder_header_mutation_rules")),
    ("another prefix", "mutation_rules", put(lambda f: f.document, "header_prefix", "x-own")),
    # Credentials.
    (
        "ext_proc sees a key",
        "credential_crosses",
        drop(lambda f: f.proc["forward_rules"]["disallowed_headers"]["patterns"], 0),
    ),
    ("ext_proc sees all", "credential_crosses", drop(lambda f: f.proc, "forward_rules")),
    (
        "ext_proc sees too little",
        "headers_hidden",
        lambda f: f.proc["forward_rules"]["disallowed_headers"]["patterns"].append({"exact": "x-tenant"}),
    ),
    (
        "only some are shown",
        "headers_hidden",
        put(lambda f: f.proc["forward_rules"], "allowed_headers", {"patterns": [{"exact": "accept"}]}),
    ),
    ("joined headers", "headers_hidden", put(lambda f: f.authz, "encode_raw_headers", False)),
    *[
        (
            f"the model sees {name}",
            "credential_crosses",
            lambda f, name=name: f.config["request_headers_to_remove"].remove(name),
        )
        for name in sorted(SECRET_HEADERS | {"x-authz-model"})
    ],
    (
        "a copied credential",
        "credential_crosses",
        lambda f: f.config["request_headers_to_add"].append(
            {"header": {"key": "x-key", "value": "%REQ(authorization)%"}}
        ),
    ),
    (
        "an added credential",
        "credential_crosses",
        lambda f: f.config["request_headers_to_add"].append(
            {"header": {"key": "Authorization", "value": "Bearer x"}}
        ),
    ),
    (
        "a second framing",
        "smuggling",
        lambda f: f.config["request_headers_to_add"].append(
            {"header": {"key": "Transfer-Encoding", "value": "chunked"}}
        ),
    ),
    (
        "the caller's credential wins",
        "credential_crosses",
        put(lambda f: f.model_filters[0]["typed_config"], "overwrite", False),
    ),
    ("the caller's host", "host_crosses", drop(lambda f: f.action, "host_rewrite_literal")),
    ("keys in the log", "log_has_secrets", unlogged("%REQ(authorization)%")),
    ("either header in the log", "log_has_secrets", unlogged("%REQ(:METHOD?AUTHORIZATION)%")),
    ("the query in the log", "log_has_secrets", unlogged("%REQ(:PATH)%")),
    ("the seal in the log", "log_has_secrets", unlogged("%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%")),
    ("a refusal's text in the log", "log_has_secrets", unlogged("%LOCAL_REPLY_BODY%")),
    (
        "Envoy's own log format",
        "log_has_secrets",
        drop(lambda f: f.manager["access_log"][0]["typed_config"], "log_format"),
    ),
    # Which way to which model.
    ("a route for all", "model_without_choice", drop(lambda f: f.route["match"], "headers")),
    (
        "a header of the client's",
        "model_without_choice",
        put(lambda f: f.route["match"]["headers"][0], "name", "x-model"),
    ),
    (
        "any value",
        "unknown_setting",
        put(lambda f: f.route["match"], "headers", [{"name": "x-authz-model", "present_match": True}]),
    ),
    ("the client's cluster", "client_chooses_cluster", put(lambda f: f.action, "cluster_header", "x-to")),
    (
        "several clusters",
        "indirect_cluster",
        put(lambda f: f.action, "weighted_clusters", {"clusters": [{"name": "model/llama", "weight": 1}]}),
    ),
    ("a copy elsewhere", "mirrored", put(lambda f: f.action, "request_mirror_policies", MIRROR)),
    ("a copy of all", "mirrored", put(lambda f: f.host, "request_mirror_policies", MIRROR)),
    ("retries", "retried", put(lambda f: f.action, "retry_policy", RETRY)),
    ("retries for all", "retried", put(lambda f: f.host, "retry_policy", RETRY)),
    ("hedging", "retried", put(lambda f: f.action, "hedge_policy", {"initial_requests": 2})),
    ("redirects", "redirected", put(lambda f: f.action, "internal_redirect_policy", {})),
    (
        "an upgrade on a route",
        "upgrade",
        put(lambda f: f.action, "upgrade_configs", [{"upgrade_type": "websocket"}]),
    ),
    ("upgrades", "upgrade", put(lambda f: f.manager, "upgrade_configs", [{"upgrade_type": "websocket"}])),
    ("tunnels", "upgrade", put(lambda f: f.manager["http2_protocol_options"], "allow_connect", True)),
    (
        "an answer of Envoy's",
        "direct_response",
        put(lambda f: f.host["routes"][-1], "direct_response", {"status": 503}),
    ),
    ("no way for the undecided", "undecided_missing", drop(lambda f: f.host["routes"], -1)),
    (
        "undecided requests have a server",
        "undecided_missing",
        put(lambda f: f.host["routes"][-1]["route"], "cluster", "model/llama"),
    ),
    (
        "clients speak to the service",
        "service_exposed",
        put(lambda f: f.action, "cluster", "authz_service"),
    ),
    ("a model that is the service", "service_exposed", model_at_the_service),
    ("a model that is the administration", "service_exposed", model_at_admin),
    ("another path", "path_changed", put(lambda f: f.action, "prefix_rewrite", "/v1/completions")),
    ("a path without a route", "path_without_route", put(lambda f: f.route["match"], "prefix", "/v2/")),
    (
        "headers not stripped",
        "early_mutation",
        drop(lambda f: f.manager, "early_header_mutation_extensions"),
    ),
    (
        "one prefix not stripped",
        "early_mutation",
        drop(lambda f: f.manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"], 0),
    ),
    (
        "a header put in early",
        "early_mutation",
        lambda f: f.manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"].append(
            {"append": {"header": {"key": "x-authz-model", "value": "llama"}}}
        ),
    ),
    ("somebody is internal", "internal_callers", drop(lambda f: f.manager, "internal_address_config")),
    ("paths as they come", "normalisation", put(lambda f: f.manager, "normalize_path", False)),
    (
        "escaped slashes",
        "normalisation",
        put(lambda f: f.manager, "path_with_escaped_slashes_action", "KEEP_UNCHANGED"),
    ),
    (
        "underscores",
        "normalisation",
        drop(lambda f: f.manager["common_http_protocol_options"], "headers_with_underscores_action"),
    ),
    # Ways in and out.
    ("a listener past the gate", "other_way_in", second_listener),
    ("a filter before HTTP", "other_way_in", lambda f: f.chain["filters"].insert(0, TCP_PROXY)),
    (
        "a default chain",
        "other_way_in",
        lambda f: f.listener.update(default_filter_chain={"filters": [TCP_PROXY]}),
    ),
    (
        "a second address",
        "other_way_in",
        put(lambda f: f.listener, "additional_addresses", [{"address": tcp("0.0.0.0", 80)}]),
    ),
    ("open to the network", "plain_listener", put(lambda f: f.listener, "address", tcp("0.0.0.0", 80))),
    ("no TLS after all", "plain_listener", put(lambda f: f.chain, "transport_socket", TAP)),
    (
        "administration on TCP",
        "admin_open",
        put(lambda f: f.document["admin"], "address", tcp("127.0.0.1", 1)),
    ),
    (
        "administration for everybody here",
        "admin_open",
        put(lambda f: f.document["admin"]["address"]["pipe"], "mode", 0o666),
    ),
    (
        "administration without a file",
        "admin_open",
        put(lambda f: f.document["admin"]["address"]["pipe"], "path", "@admin"),
    ),
    ("the service on plain TCP", "plain_service", service_over_tcp),
    ("the service without a file", "plain_service", put(lambda f: f.service_pipe, "path", "@service")),
    (
        "the service by another library",
        "plain_service",
        put(lambda f: f.proc, "grpc_service", {"google_grpc": {"target_uri": "x", "stat_prefix": "x"}}),
    ),
    ("no service at all", "plain_service", drop(lambda f: f.proc, "grpc_service")),
    (
        "a service that isn't there",
        "plain_service",
        put(lambda f: f.proc["grpc_service"]["envoy_grpc"], "cluster_name", "else"),
    ),
    ("any certificate", "unverified_tls", drop(lambda f: f.verification, "trusted_ca")),
    ("any name", "unverified_tls", drop(lambda f: f.verification, "match_typed_subject_alt_names")),
    (
        "an untrusted chain",
        "unknown_setting",
        put(lambda f: f.verification, "trust_chain_verification", "ACCEPT_UNTRUSTED"),
    ),
    (
        "a name that any certificate has",
        "unverified_tls",
        put(
            lambda f: f.verification,
            "match_typed_subject_alt_names",
            [{"san_type": "DNS", "matcher": {"prefix": ""}}],
        ),
    ),
    ("no names", "unverified_tls", put(lambda f: f.verification, "match_typed_subject_alt_names", [])),
    (
        "TLS by name only",
        "unverified_tls",
        put(lambda f: f.secure_model, "transport_socket", {"name": "raw"}),
    ),
    (
        "TLS for clients by name only",
        "plain_listener",
        put(lambda f: f.chain, "transport_socket", {"name": "x"}),
    ),
    (
        "client certificates that nobody checks",
        "unverified_tls",
        put(
            lambda f: f.chain,
            "transport_socket",
            gateway_tls(Path("/sds.yaml"), None)
            | {"typed_config": asking_clients({"match_typed_subject_alt_names": []})},
        ),
    ),
    (
        "client certificates of any authority",
        "unknown_setting",
        put(
            lambda f: f.chain,
            "transport_socket",
            gateway_tls(Path("/sds.yaml"), None)
            | {
                "typed_config": asking_clients(
                    {
                        "trusted_ca": {"filename": "/ca.pem"},
                        "trust_chain_verification": "ACCEPT_UNTRUSTED",
                    }
                )
            },
        ),
    ),
    (
        "keys of TLS written down",
        "tls_keys_logged",
        put(
            lambda f: f.secure_model["transport_socket"]["typed_config"]["common_tls_context"],
            "key_log",
            {"path": "/tmp/keys"},
        ),
    ),
    (
        "a listener filter",
        "other_way_in",
        put(lambda f: f.listener, "listener_filters", [{"name": "envoy.filters.listener.original_dst"}]),
    ),
    (
        "a local reply that repeats a credential",
        "log_has_secrets",
        put(
            lambda f: f.manager,
            "local_reply_config",
            {"body_format": {"json_format": {"e": "%REQ(authorization)%"}}},
        ),
    ),
    (
        "a model's HTTP/1 read otherwise",
        "smuggling",
        put(
            lambda f: f.options(f.model)["explicit_http_config"],
            "http_protocol_options",
            {"enable_trailers": True},
        ),
    ),
    (
        "the service's streams are cut",
        "ends_holds",
        put(
            lambda f: f.options(f.cluster("authz_service"))["common_http_protocol_options"],
            "max_stream_duration",
            "60s",
        ),
    ),
    (
        "statistics through code",
        "unknown_extension",
        put(
            lambda f: f.document,
            "stats_sinks",
            [
                {
                    "name": "wasm",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.stat_sinks.wasm.v3.Wasm"},
                }
            ],
        ),
    ),
    ("no TLS to a model", "unverified_tls", put(lambda f: f.secure_model, "transport_socket", TAP)),
    ("a filter behind the gate", "unknown_filter", lambda f: f.model_filters.insert(0, LUA)),
    ("endpoints from elsewhere", "dynamic", put(lambda f: f.model, "type", "EDS")),
    ("endpoints of the client's", "dynamic", put(lambda f: f.model, "type", "ORIGINAL_DST")),
    ("routes from elsewhere", "dynamic", put(lambda f: f.manager, "rds", {"route_config_name": "r"})),
    ("anything from elsewhere", "dynamic", put(lambda f: f.document, "dynamic_resources", {})),
    ("features by runtime", "dynamic", put(lambda f: f.document, "layered_runtime", LAYER)),
    ("two clusters of one name", "cluster_repeated", lambda f: f.resources["clusters"].append(f.model)),
    # Holds live.
    (
        "holds are cut by load",
        "ends_holds",
        lambda f: f.document["overload_manager"]["actions"].append(
            {"name": "envoy.overload_actions.reduce_timeouts"}
        ),
    ),
    (
        "holds are cut by time",
        "ends_holds",
        put(lambda f: f.manager["common_http_protocol_options"], "max_stream_duration", "60s"),
    ),
    ("holds are cut when idle", "ends_holds", drop(lambda f: f.action, "idle_timeout")),
    ("answers are cut", "cuts_answers", drop(lambda f: f.action, "timeout")),
    # Nothing is guessed.
    ("a word that Envoy doesn't know", "unknown_field", put(lambda f: f.manager, "normalise_path", True)),
    ("a second spelling", "unknown_field", put(lambda f: f.proc, "failureModeAllow", True)),
    ("a number for a word", "wrong_type", put(lambda f: f.proc, "route_cache_action", 1)),
    (
        "a type that Envoy doesn't know",
        "unknown_type",
        put(lambda f: f.rbac, "@type", "type.googleapis.com/x.Y"),
    ),
    ("an extension at the top", "unknown_extension", put(lambda f: f.document, "bootstrap_extensions", [])),
    ("a setting that is not checked", "unknown_setting", put(lambda f: f.manager, "tracing", {})),
]


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
