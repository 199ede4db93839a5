"""Fills addresses, paths and models into envoy.yaml, and leaves the rest, comments too, as it is."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from authz_service.errors import Misconfigured
from authz_service.proxy.gate_filters import EXT_AUTHZ
from authz_service.proxy.model_parts import fill_cluster, fill_route, gateway_tls
from authz_service.proxy.service_parts import fill_service
from authz_service.proxy.settings import EnvoySettings, ModelTarget

MODEL_PREFIX = "model/"
_ACCESS_LOG = "envoy.access_loggers.file"


def render(template: str, settings: EnvoySettings) -> str:
    """The template with `settings` filled in; rendering the result again changes nothing.

    The first route and cluster named model/... are repeated for each model; those of models that are
    in the file already keep what was tuned in them. Raises `Misconfigured` for a file without them.
    """
    document = _load(template)
    try:
        _fill(document, settings)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        message = "the Envoy file lacks a part that is filled in; start again from envoy/envoy.yaml"
        raise Misconfigured(f"{message} (looking for {error})") from error
    return _dump(document)


def _fill(document: Any, settings: EnvoySettings) -> None:
    resources = document["static_resources"]
    listener = resources["listeners"][0]
    chain = listener["filter_chains"][0]
    manager = chain["filters"][0]["typed_config"]
    document["admin"]["address"]["pipe"]["path"] = str(settings.admin_socket)
    listener["address"]["socket_address"].update({"address": settings.host, "port_value": settings.port})
    _fill_tls(chain, settings)
    _fill_peer(_of_type(manager["http_filters"], EXT_AUTHZ), settings)
    for logger in manager["access_log"]:
        if logger["name"] == _ACCESS_LOG:
            logger["typed_config"]["path"] = settings.access_log
    fill_service(_named(resources["clusters"], "authz_service"), settings, copy=_bare_copy)
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    _repeat(routes, settings.models, fill_route)
    _repeat(resources["clusters"], settings.models, lambda n, m: fill_cluster(n, m, settings.authorities))
    for route in routes:
        _raise_idle_timeout(route["route"], settings.idle_timeout)


def _fill_tls(chain: Any, settings: EnvoySettings) -> None:
    if settings.certificate is None:
        chain.pop("transport_socket", None)
    else:
        chain["transport_socket"] = gateway_tls(settings.certificate, settings.client_authority)


def _fill_peer(config: Any, settings: EnvoySettings) -> None:
    """Whether the service is shown the caller's certificate: only where it counts, since it has its size."""
    if settings.client_authority is None:
        config.pop("include_peer_certificate", None)
    else:
        config["include_peer_certificate"] = True


def _repeat(items: Any, models: tuple[ModelTarget, ...], fill: Callable[[Any, ModelTarget], None]) -> None:
    """Replace the model/... items, in place, by one for each model."""
    present = {item["name"]: item for item in items if item["name"].startswith(MODEL_PREFIX)}
    if not present:
        raise Misconfigured("the Envoy file has no route or cluster named model/... to repeat for each model")
    sample = next(iter(present.values()))
    first = next(i for i, item in enumerate(items) if item is sample)
    keeps_sample = any(MODEL_PREFIX + model.name in present for model in models)
    filled = []
    for model in models:
        node = present.get(MODEL_PREFIX + model.name)
        if node is None:
            # The last one takes the sample itself, with the comments that stand in and behind it.
            node = sample if model is models[-1] and not keeps_sample else _bare_copy(sample)
        filled.append(node)
    for node, model in zip(filled, models, strict=True):
        fill(node, model)
    for index in reversed(range(len(items))):
        if items[index]["name"].startswith(MODEL_PREFIX) and index != first:
            del items[index]
    items[first] = filled[0]
    for offset, node in enumerate(filled[1:], start=1):
        items.insert(first + offset, node)


def _named(items: Any, name: str) -> Any:
    for item in items:
        if item["name"] == name:
            return item
    raise KeyError(name)


def _of_type(filters: Any, kind: str) -> Any:
    for item in filters:
        if item["typed_config"]["@type"] == kind:
            return item["typed_config"]
    raise KeyError(kind)


def _raise_idle_timeout(action: Any, seconds: float) -> None:
    present = str(action.get("idle_timeout", "0s")).removesuffix("s")
    try:
        enough = float(present) >= seconds
    except ValueError:
        enough = False
    if not enough:
        action["idle_timeout"] = f"{seconds:g}s"


def _bare_copy(node: Any) -> Any:
    """A deep copy without comments: what they explain is explained once."""
    duplicate = copy.deepcopy(node)
    _strip(duplicate)
    return duplicate


def _strip(node: Any) -> None:
    if isinstance(node, CommentedMap | CommentedSeq):
        node.ca.items.clear()
        node.ca.comment = None
        node.ca.end = []
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _strip(child)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml


def _load(text: str) -> Any:
    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise Misconfigured(f"the Envoy file is not YAML: {error}") from error


def _dump(document: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()
