"""Edits of routes, clusters and listeners that would open the gate, each with its code."""

from __future__ import annotations

from pathlib import Path

from tests.proxy.envoy_edits import (
    LAYER,
    LUA,
    MIRROR,
    RETRY,
    TAP,
    TCP_PROXY,
    Edit,
    asking_clients,
    drop,
    model_at_admin,
    model_at_the_service,
    put,
    second_listener,
    service_over_tcp,
    tcp,
)

from authz_service.proxy.model_parts import gateway_tls

AROUND_THE_GATE: list[tuple[str, str, Edit]] = [
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
        "what the service is told besides",
        "plain_service",
        put(lambda f: f.authz["grpc_service"], "initial_metadata", [{"key": "x-authz-seal", "value": "1"}]),
    ),
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
