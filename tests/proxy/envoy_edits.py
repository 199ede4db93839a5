"""A rendered Envoy file with names for its parts, and edits of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from authz_service.proxy.model_parts import gateway_tls
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
