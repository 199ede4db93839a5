"""Where the gateway listens, which models it leads to, and where it keeps what it records."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from authz_service.config import scalars
from authz_service.config.faults import Place
from authz_service.config.gateway_values import Credential, Listen, Model, Tls
from authz_service.config.section import Read, Refused, Section, shortened
from authz_service.config.tree import Node, Scalar

DEFAULT_STORE: Final = "sqlite:///authz.db"

_MODEL_NAME = scalars.word(
    r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}", "a model's name of letters, digits and any of . _ : / @ + -"
)
_OWN_HEADERS: Final = ("host", "content-length", "content-type", "transfer-encoding", "connection")


def file_path(base: Path) -> Read[Path]:
    """A path, relative to the directory of the configuration file."""
    return lambda node: base / scalars.line(node)


def read_listen(root: Section, base: Path, *, has_certificates: bool) -> Listen:
    """`listen`: beyond loopback, and for callers with client certificates, only with TLS."""
    section = root.section_or_empty("listen")
    default = Listen()
    host, port = section.optional("address", scalars.host_and_port, (default.host, default.port))
    tls = read_tls(section, base)
    if tls is None and not scalars.is_loopback(host):
        section.refuse_value("address", f"{host} can be reached from other machines, so tls is needed")
    if tls is None and has_certificates:
        section.refuse_value("tls", "identity.certificates needs it: without TLS nobody shows a certificate")
    section.close()
    return Listen(host, port, tls)


def read_tls(listen: Section, base: Path) -> Tls | None:
    """`tls` of a listener: its certificate chain and key."""
    section = listen.section("tls")
    if section is None:
        return None
    cert = section.required("cert", file_path(base), base)
    key = section.required("key", file_path(base), base)
    section.close()
    return Tls(cert, key)


def read_models(root: Section, base: Path) -> tuple[Model, ...]:
    """`models`: at least one; no name or alias stands for two."""
    models: list[Model] = []
    seen: dict[str, Place] = {}
    for section in root.sections("models", at_least_one=True):
        model = Model(
            name=section.required("name", _MODEL_NAME, ""),
            url=section.required("url", _model_url, ""),
            aliases=section.optional("aliases", scalars.list_of(_MODEL_NAME), ()),
            credential=_read_credential(section, base),
        )
        for name in filter(None, (model.name, *model.aliases)):
            key = "name" if name == model.name else "aliases"
            if name in seen:
                section.refuse_value(key, f"{name!r} stands for a model already, at line {seen[name].line}")
            seen[name] = section.place(key)
        section.close()
        models.append(model)
    return tuple(models)


def _model_url(node: Node) -> str:
    value = scalars.url(node).rstrip("/")
    path = urlsplit(value).path
    if path:
        raise Refused(
            f"has a path ({shortened(path)}), which is not supported yet; callers' paths go on as they are"
        )
    return value


def _read_credential(model: Section, base: Path) -> Credential | None:
    section = model.section("credential")
    if section is None:
        return None
    file = section.required("file", file_path(base), base)
    header = section.optional("header", _credential_header, "authorization")
    prefix = section.optional("prefix", _prefix, "Bearer " if header == "authorization" else "")
    section.close()
    return Credential(file, header, prefix)


def _credential_header(node: Node) -> str:
    value = scalars.header_name(node)
    if value in _OWN_HEADERS or value.startswith("x-authz-"):
        raise Refused(f"{value} is a header of the gateway's own")
    return value


def _prefix(node: Node) -> str:
    if isinstance(node, Scalar) and node.kind == "text" and not node.text:
        return ""
    value = scalars.line(node)
    if not value.isascii():
        raise Refused("must be ASCII, since it goes into a header")
    return value


def read_store(root: Section) -> str:
    """`store.url`: SQLite in one file, or PostgreSQL."""
    section = root.section_or_empty("store")
    value = section.optional("url", database_url, DEFAULT_STORE)
    section.close()
    return value


def _postgres_problem(value: str) -> str:
    try:
        parts = urlsplit(value)
        has_host, password = bool(parts.hostname) or "host=" in value, parts.password
        parameters = {name for name, _ in parse_qsl(parts.query)}
    except ValueError:
        return "must be a postgresql:// URL that can be read"
    if not has_host:
        return "a postgresql:// URL needs a host"
    if password or parameters & {"password", "sslpassword"}:
        # The file goes on record when it is activated.
        return "must not have the password: put it into ~/.pgpass (PGPASSFILE) or PGPASSWORD"
    return ""


def database_url(node: Node) -> str:
    """A SQLite file, or PostgreSQL without its password."""
    value = scalars.line(node)
    if value.startswith("postgresql://"):
        problem = _postgres_problem(value)
        if problem:
            raise Refused(problem)
        return value
    if not value.startswith("sqlite:///") or len(value) == len("sqlite:///"):
        raise Refused("must be sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    if ":memory:" in value or "?" in value or "#" in value:
        raise Refused("must name a plain file: what is held in memory is no record")
    return value
