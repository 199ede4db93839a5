"""Readers of single values: each turns a node into a value or says what was expected."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

from authz_service.config.section import Read, Refused, as_items, described, shortened
from authz_service.config.tree import Node, Scalar

T = TypeVar("T")

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def text(node: Node) -> str:
    """A text that is not empty and has no characters that a terminal or a header would obey."""
    if not isinstance(node, Scalar) or node.kind not in ("text", "timestamp"):
        hint = " (put it in quotes)" if isinstance(node, Scalar) and node.kind != "empty" else ""
        raise Refused(f"must be a text, {described(node)}{hint}")
    if not node.text.strip():
        raise Refused("must not be empty")
    if any(not (character.isprintable() or character in "\n\t") for character in node.text):
        raise Refused("has a character that cannot be printed")
    return node.text


def line(node: Node) -> str:
    """A text of one line."""
    value = text(node)
    if "\n" in value or "\t" in value:
        raise Refused("must be a single line")
    return value


def word(pattern: str, explained: str) -> Read[str]:
    """A text that matches a pattern as a whole."""
    compiled = re.compile(pattern)

    def read(node: Node) -> str:
        value = line(node)
        if compiled.fullmatch(value) is None:
            raise Refused(f"must be {explained}, found {shortened(value)}")
        return value

    return read


_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
name: Final = word(_NAME, "a name of letters, digits, '_', '.' and '-'")


def is_name(value: str) -> bool:
    """Whether a text can be the name of a rule, mask or approval."""
    return re.fullmatch(_NAME, value) is not None


def whole_number(lowest: int, highest: int) -> Read[int]:
    """A decimal whole number within limits, both included."""

    def read(node: Node) -> int:
        is_number = isinstance(node, Scalar) and node.kind == "number"
        if not isinstance(node, Scalar) or not is_number or not re.fullmatch(r"-?[0-9]{1,18}", node.text):
            raise Refused(f"must be a whole number from {lowest} to {highest}, {described(node)}")
        if not lowest <= int(node.text) <= highest:
            raise Refused(f"must be from {lowest} to {highest}, found {node.text}")
        return int(node.text)

    return read


def boolean(node: Node) -> bool:
    """`true` or `false`."""
    if not isinstance(node, Scalar) or node.kind != "boolean":
        raise Refused(f"must be true or false, {described(node)}")
    return node.text.lower() == "true"


def one_of(values: Mapping[str, T]) -> Read[T]:
    """One of several words."""

    def read(node: Node) -> T:
        value = text(node)
        if value not in values:
            raise Refused(f"must be {' or '.join(values)}, found {shortened(value)}")
        return values[value]

    return read


def list_of(read: Read[T]) -> Read[tuple[T, ...]]:
    """A list with at least one item and no item twice."""

    def read_all(node: Node) -> tuple[T, ...]:
        items = as_items(node)
        if not items:
            raise Refused("must not be empty")
        values: list[T] = []
        for item in items:
            try:
                value = read(item)
            except Refused as refused:
                raise Refused(refused.message, place=refused.place or item.place) from None
            if value in values:
                raise Refused(f"{value!r} stands here twice", place=item.place)
            values.append(value)
        return tuple(values)

    return read_all


def duration(shortest: float, longest: float) -> Read[float]:
    """A whole number with s, m, h or d, as seconds within limits."""

    def read(node: Node) -> float:
        return float(_with_unit(node, _SECONDS, shortest, longest, "a time such as 30s, 5m, 2h or 1d"))

    return read


def size(smallest: int, largest: int) -> Read[int]:
    """A whole number with B, KiB, MiB or GiB, as bytes within limits."""

    def read(node: Node) -> int:
        return _with_unit(node, _BYTES, smallest, largest, "a size such as 512KiB or 8MiB")

    return read


def _with_unit(node: Node, units: Mapping[str, int], lowest: float, highest: float, explained: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12})([A-Za-z]+)", node.text) if isinstance(node, Scalar) else None
    if found is None or found.group(2) not in units:
        raise Refused(f"must be {explained}, {described(node)}")
    value = int(found.group(1)) * units[found.group(2)]
    if not lowest <= value <= highest:
        limits = f"{_in_units(lowest, units)} to {_in_units(highest, units)}"
        raise Refused(f"must be from {limits}, {described(node)}")
    return value


def _in_units(value: float, units: Mapping[str, int]) -> str:
    whole = [(factor, unit) for unit, factor in units.items() if value % factor == 0]
    factor, unit = max(whole)
    return f"{value / factor:.0f}{unit}"


def host_and_port(node: Node) -> tuple[str, int]:
    """`host:port`, an IPv6 address in brackets."""
    value = line(node)
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        good_host = _is_address(host, 6)
    else:
        good_host = _is_address(host, 4) or _is_name(host)
    if not colon or not good_host or not re.fullmatch(r"[0-9]{1,5}", port) or not int(port) <= 65_535:
        raise Refused(f"must be host:port, as in 127.0.0.1:10000 or [::1]:10000, found {shortened(value)}")
    return host, int(port)


def _is_name(host: str) -> bool:
    """A name's last label is no number, or it would be an address that somebody misspelt."""
    return bool(_HOST_NAME.fullmatch(host)) and not host.rpartition(".")[2].isdigit()


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    if host == "localhost":
        return True
    return (_is_address(host, 4) or _is_address(host, 6)) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version and "%" not in host
    except ValueError:
        return False


def url(node: Node) -> str:
    """An http or https URL with a host, without user, query and fragment."""
    value = line(node)
    problem = _url_problem(value)
    if problem:
        found = "" if "@" in value else f", found {shortened(value)}"  # a password would be repeated
        raise Refused(f"must be {problem}{found}")
    return value


def _url_problem(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return "a URL with a valid host and port"
    if parts.scheme not in ("http", "https"):
        return "an http:// or https:// URL"
    if not parts.hostname or not port_is_good or not value.isascii() or re.search(r"[\s\\]", value):
        return "a URL with a host, as in http://127.0.0.1:8000"
    if "@" in parts.netloc:
        return "a URL without user and password"
    if "?" in value or "#" in value:
        return "a URL without query and fragment"
    return ""


def header_name(node: Node) -> str:
    """A header's name (RFC 9110 5.6.2), in lower case."""
    value = line(node)
    if not _TOKEN.fullmatch(value):
        raise Refused(f"must be a header's name, found {shortened(value)}")
    return value.lower()


def refused_unless(read: Read[T], check: Callable[[T], str | None]) -> Read[T]:
    """A reader with one more condition: `check` says what is wrong, or None."""

    def read_checked(node: Node) -> T:
        value = read(node)
        problem = check(value)
        if problem is not None:
            raise Refused(problem)
        return value

    return read_checked
