"""Edits of the filters that would open the gate, each with the code by which it is refused."""

from __future__ import annotations

from tests.proxy.envoy_edits import (
    LUA,
    Edit,
    drop,
    per_route,
    put,
    swap,
    unlogged,
)

from authz_service.framing.headers import SECRET_HEADERS

OF_THE_GATE: list[tuple[str, str, Edit]] = [
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
]
