"""Which authz.yaml `authz up` runs with: the one that is named, or a starter in the data directory."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from authz_service.config.model import Config
from authz_service.config.starter import starter_text
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.files import write_private
from authz_service.proxy.probes import free_port
from authz_service.proxy.settings import is_loopback

DEMO = "demo"
LIST_SECONDS = 5.0
LARGEST_LIST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """The file to run with. `demo_port` is set when the demo model is to run; `is_starter` when the file
    is as this program wrote it."""

    path: Path
    config: Config
    demo_port: int | None
    is_starter: bool


def choose(
    *, config: Path | None, model_url: str | None, data: DataDir, load: Callable[[Path], Config]
) -> Chosen:
    """The configuration for this run; writes DIR/authz.yaml unless somebody has edited it.

    Raises `Misconfigured` when options contradict each other or the file, or it has faults.
    """
    if config is not None:
        if model_url is not None:
            raise Misconfigured("--config and --model-url exclude each other: models are listed in the file")
        return Chosen(config, load(config), None, is_starter=False)
    path = data.root / "authz.yaml"
    present = load(path) if path.exists() else None
    if present is not None and not _is_unedited(path, present):
        if model_url is not None:
            raise Misconfigured(f"{path} was edited; change the models there, or move it away")
        return Chosen(path, present, demo_port(present), is_starter=False)
    if model_url is not None:
        text = _starter(model_url.rstrip("/"), names_at(model_url))
    else:
        port = (present and demo_port(present)) or free_port()
        text = _starter(f"http://127.0.0.1:{port}", (DEMO,))
    write_private(path, text)
    loaded = load(path)
    return Chosen(path, loaded, None if model_url else demo_port(loaded), is_starter=True)


def names_at(model_url: str) -> tuple[str, ...]:
    """The names of the models that a server lists at /v1/models.

    A server that lists none, or not in this way, needs a configuration that names them.
    """
    address = f"{model_url.rstrip('/')}/v1/models"
    if urlsplit(address).scheme not in ("http", "https"):
        raise Misconfigured(f"--model-url must be http(s)://HOST[:PORT], got {model_url!r}")
    advice = "start the model server, or list its models in a file for --config"
    try:
        with urllib.request.urlopen(address, timeout=LIST_SECONDS) as answer:  # noqa: S310 - checked above
            document = json.loads(answer.read(LARGEST_LIST))
        names = tuple(dict.fromkeys(str(item["id"]) for item in document["data"]))
    except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise Misconfigured(f"cannot read the list of models at {address} ({reason}); {advice}") from error
    if not names:
        raise Misconfigured(f"{address} lists no models; {advice}")
    return names


def _starter(model_url: str, names: tuple[str, ...]) -> str:
    try:
        return starter_text(model_url=model_url, models=names)
    except ValueError as error:
        message = "a model there has a name or URL that needs a file of your own (--config)"
        raise Misconfigured(f"{message}: {error}") from error


def _is_unedited(path: Path, config: Config) -> bool:
    names = tuple(model.name for model in config.models)
    try:
        return path.read_text(encoding="utf-8") == starter_text(model_url=config.models[0].url, models=names)
    except ValueError:
        return False


def demo_port(config: Config) -> int | None:
    """The port of the demo model, where the configuration has one: on this machine, by its name."""
    for model in config.models:
        url = urlsplit(model.url)
        if model.name == DEMO and url.port and is_loopback(url.hostname or ""):
            return url.port
    return None
