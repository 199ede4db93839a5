"""Ways to a model: what the routes of an Envoy file may look like."""

from __future__ import annotations

import re
from typing import Any, Final

from authz_service.framing.headers import GATEWAY_PREFIX, MODEL_HEADER, SECRET_HEADERS
from authz_service.proxy.faults import Path, Report
from authz_service.proxy.shape import anything, each, exactly, fields, get, items

REMOVED: Final = SECRET_HEADERS | {MODEL_HEADER}
"""Request headers that no model may see; Envoy takes them off, since the service cannot."""

PROTECTED: Final = re.compile(
    r"content-length|transfer-encoding|connection|host|x-forwarded-proto|x-envoy-.*"
)
"""What frames and routes messages: neither the service nor a route may change it."""

_everyone = exactly(["*"], "no_route", 'must be ["*"]: every host takes the same way')


def _added(value: Any, path: Path, report: Report) -> None:
    header = fields({"key": anything, "value": anything})
    each(fields({"header": header, "append_action": anything, "keep_empty_value": anything}))(
        value, path, report
    )
    for index, option in enumerate(items(value)):
        key, text = get(option, "header", "key"), get(option, "header", "value")
        name = str(key).lower()
        if name in SECRET_HEADERS or name.startswith((GATEWAY_PREFIX, "x-envoy-", ":")):
            report.add("credential_crosses", (*path, index), f"{name} is not to be added here")
        if PROTECTED.fullmatch(name):
            report.add("smuggling", (*path, index), f"{name} frames or routes messages, and is Envoy's")
        if "%" in str(text):
            message = "a value from the request could carry a credential; only fixed values are known here"
            report.add("credential_crosses", (*path, index), message)


_mutations: Final = {
    "request_headers_to_add": _added,
    "request_headers_to_remove": anything,
    "response_headers_to_add": _added,
    "response_headers_to_remove": anything,
}
_string = fields({"exact": anything})
_match = fields(
    {
        "prefix": anything,
        "path": anything,
        "headers": each(fields({"name": anything, "string_match": _string})),
    }
)
_action = fields(
    {
        "cluster": anything,
        "timeout": anything,
        "idle_timeout": anything,
        "host_rewrite_literal": anything,
        "auto_host_rewrite": anything,
        "prefix_rewrite": anything,
        "append_x_forwarded_host": exactly(
            False, "host_crosses", "the host that the caller named stays here"
        ),
    },
    {
        "cluster": ("indirect_cluster", "a route names its cluster"),
        "timeout": ("cuts_answers", "Envoy would cut answers after 15 s; 0s means no limit"),
        "idle_timeout": ("ends_holds", "the connection manager's would end held requests"),
    },
)
_route = fields(
    {"name": anything, "match": _match, "route": _action, **_mutations, "stat_prefix": anything},
    {
        "match": ("no_route", "a route says what it matches"),
        "route": ("direct_response", "a route leads to a cluster"),
    },
)
_virtual_host = fields(
    {
        "name": anything,
        "domains": _everyone,
        "require_tls": anything,
        "routes": each(_route),
        **_mutations,
    },
    {"domains": ("no_route", "every host takes the same way"), "routes": ("no_route", "there is no route")},
)


def check_routes(value: Any, path: Path, report: Report) -> None:
    """A `route_config`: only routes that name their cluster, in virtual hosts for everybody."""
    shape = {"name": anything, "virtual_hosts": each(_virtual_host), "validate_clusters": anything}
    fields({**shape, **_mutations}, {"virtual_hosts": ("no_route", "there is no route")})(value, path, report)
    if len(items(get(value, "virtual_hosts"))) != 1:
        report.add("no_route", (*path, "virtual_hosts"), "there must be one virtual host")


def check_ways(config: Any, path: Path, empty: set[str], services: set[str], report: Report) -> None:
    """Each route leads to a model by the service's choice, or, last and for all the rest, nowhere.

    `empty` are the clusters without a server, `services` those that ext_authz and ext_proc ask.
    """
    for index, host in enumerate(items(get(config, "virtual_hosts"))):
        here = (*path, "virtual_hosts", index)
        routes = items(get(host, "routes"))
        for number, route in enumerate(routes):
            cluster = get(route, "route", "cluster")
            where = (*here, "routes", number)
            if cluster in services:
                report.add("service_exposed", where, "leads clients to the service itself")
            elif cluster not in empty:
                _check_model_way(route, where, report)
                _check_removals((config, host, route), where, report)
        last = routes[-1] if routes else None
        if get(last, "match") != {"prefix": "/"} or get(last, "route", "cluster") not in empty:
            message = "the last route must match {prefix: /} and lead to a cluster without any server"
            report.add("undecided_missing", (*here, "routes"), message)


def check_paths(config: Any, path: Path, paths: tuple[str, ...], empty: set[str], report: Report) -> None:
    """Each of `paths` must have a route to each model, and one for requests that are undecided."""
    for index, host in enumerate(items(get(config, "virtual_hosts"))):
        routes = items(get(host, "routes"))
        models = {_model(route) for route in routes if get(route, "route", "cluster") not in empty}
        for model in sorted(model for model in models if model is not None):
            mine = [route for route in routes if _model(route) == model]
            for wanted in paths:
                if not any(_matches(route, wanted) for route in mine):
                    message = f"{wanted} has no route to the model {model!r}"
                    report.add("path_without_route", (*path, "virtual_hosts", index, "routes"), message)


def _check_model_way(route: Any, path: Path, report: Report) -> None:
    headers = items(get(route, "match", "headers"))
    names = [get(header, "name") for header in headers]
    model = _model(route)
    if names != [MODEL_HEADER] or not isinstance(model, str) or not model:
        message = f"a route to a model matches {MODEL_HEADER}, which the service sets, exactly, and only that"
        report.add("model_without_choice", (*path, "match"), message)
    action = get(route, "route")
    begin, rewritten = get(route, "match", "prefix"), get(action, "prefix_rewrite")
    if rewritten is not None and not (isinstance(begin, str) and str(rewritten).endswith(begin)):
        message = "prefix_rewrite may put a path before what was judged, and change nothing of it"
        report.add("path_changed", (*path, "route"), message)
    if not get(action, "host_rewrite_literal") and get(action, "auto_host_rewrite") is not True:
        message = "the Host that the caller sent would reach the model; set host_rewrite_literal"
        report.add("host_crosses", (*path, "route"), message)


def _check_removals(scopes: tuple[Any, Any, Any], path: Path, report: Report) -> None:
    removed = {
        str(name).lower() for scope in scopes for name in items(get(scope, "request_headers_to_remove"))
    }
    for name in sorted(REMOVED - removed):
        message = f"{name} would reach the model; name it in request_headers_to_remove"
        report.add("credential_crosses", path, message)


def _model(route: Any) -> Any:
    return get(route, "match", "headers", 0, "string_match", "exact")


def _matches(route: Any, path: str) -> bool:
    prefix, exact = get(route, "match", "prefix"), get(route, "match", "path")
    return path == exact or (isinstance(prefix, str) and path.startswith(prefix))
