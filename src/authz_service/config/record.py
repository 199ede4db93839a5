"""What is kept of the record, and where its checkpoints go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.keeping import read_keeping
from authz_service.config.record_values import Bucket, Checkpoints, Receiver, Record, Syslog, Webhook
from authz_service.config.section import Read, Refused, Section
from authz_service.config.tree import Node

_DAY: Final = 86_400.0
_KINDS: Final = ("webhook", "syslog", "s3")

_ORIGIN = scalars.word(
    r"[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9._-]+)*",
    "a name such as example.com/llm-gateway, without a scheme",
)
_BUCKET = scalars.word(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name")
_PREFIX = scalars.word(r"[A-Za-z0-9._/=-]{1,512}", "a prefix of letters, digits and any of . _ / = -")
_REGION = scalars.word(r"[a-z0-9-]{1,32}", "a region's name")


def read_record(root: Section, base: Path) -> Record:
    """`record`: the name of the log, how its checkpoints leave this machine, how long what is kept."""
    section = root.section_or_empty("record")
    origin = section.optional("origin", _ORIGIN, None)
    checkpoints = _read_checkpoints(section, base)
    keeping = read_keeping(section, base)
    search_texts = section.optional("search_texts", scalars.boolean, False)
    section.close()
    return Record(origin, checkpoints, keeping, search_texts)


def _read_checkpoints(record: Section, base: Path) -> Checkpoints:
    section = record.section_or_empty("checkpoints")
    default = Checkpoints()
    every = section.optional("every", scalars.duration(1, _DAY), default.every)
    receivers = [_read_receiver(item, base) for item in section.sections("to")]
    section.close()
    good = tuple(receiver for receiver in receivers if receiver is not None)
    names = [receiver.name for receiver in good]
    for name in {name for name in names if names.count(name) > 1}:
        section.refuse_value("to", f"{name} stands here twice")
    return Checkpoints(every, good)


def _read_receiver(section: Section, base: Path) -> Receiver | None:
    named = [kind for kind in _KINDS if section.has(kind)]
    if len(named) != 1:
        section.refuse(section.node.place, f"must have one of {', '.join(_KINDS)}")
        for kind in _KINDS:
            section.asked.append(kind)
        return None
    receiver = _READERS[named[0]](section, base)
    section.close()
    return receiver


def _webhook(section: Section, base: Path) -> Receiver:
    url = section.required("webhook", scalars.url, "http://localhost")
    parts = urlsplit(url)
    if parts.scheme == "http" and not scalars.is_loopback(parts.hostname or ""):
        section.refuse_value("webhook", "must be https, unless it is on this machine")
    return Webhook(url, section.optional("token", _file(base), None))


def _syslog(section: Section, base: Path) -> Receiver:
    return section.required("syslog", _syslog_address, Syslog("unix", "/dev/log", 0))


def _s3(section: Section, base: Path) -> Receiver:
    return Bucket(
        bucket=section.required("s3", _BUCKET, "bucket"),
        prefix=section.optional("prefix", _PREFIX, ""),
        region=section.optional("region", _REGION, None),
        endpoint=section.optional("endpoint", scalars.url, None),
        retain=section.optional("retain", scalars.duration(_DAY, 36_500 * _DAY), None),
    )


_READERS: Final[dict[str, Callable[[Section, Path], Receiver]]] = {
    "webhook": _webhook,
    "syslog": _syslog,
    "s3": _s3,
}


def _file(base: Path) -> Read[Path]:
    return lambda node: base / scalars.line(node)


def _syslog_address(node: Node) -> Syslog:
    value = scalars.line(node)
    if value.startswith("unix:/"):
        return Syslog("unix", value.removeprefix("unix:"), 0)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_bare = parts.path == parts.query == parts.fragment == "" and "@" not in value if host else False
    if not host or parts.scheme not in ("udp", "tcp") or not is_bare:
        raise Refused("must be udp://HOST:PORT, tcp://HOST:PORT or unix:/PATH")
    return Syslog(parts.scheme, host, port or 514)
