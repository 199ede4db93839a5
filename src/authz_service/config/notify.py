"""Who is told of holds: webhooks, which events, how long delivery is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.gateway import file_path
from authz_service.config.notify_values import CallerShown, NotifiedWebhook, Notify, Secret
from authz_service.config.section import Refused, Section
from authz_service.config.tree import Node
from authz_service.core.notifications import EVENTS

_DAY: Final = 86_400.0
_VARIABLE = scalars.word(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable")


def read_notify(root: Section, base: Path) -> Notify:
    """`notify`: absent where nobody is told."""
    section = root.section_or_empty("notify")
    default = Notify()
    webhooks = [_read_webhook(item, base) for item in section.sections("webhooks")]
    names = [hook.name for hook in webhooks]
    for name in {name for name in names if name and names.count(name) > 1}:
        section.refuse_value("webhooks", f"{name} stands here twice")
    notify = Notify(
        webhooks=tuple(webhooks),
        link=section.optional("link", _link, default.link),
        give_up_after=section.optional(
            "give_up_after", scalars.duration(60, 7 * _DAY), default.give_up_after
        ),
    )
    section.close()
    return notify


def _read_webhook(section: Section, base: Path) -> NotifiedWebhook:
    hook = NotifiedWebhook(
        name=section.required("name", scalars.name, ""),
        url=section.required("url", _receiver_url, ""),
        secret=_read_secret(section, base),
        events=section.optional(
            "events", scalars.list_of(scalars.one_of({word: word for word in EVENTS})), tuple(EVENTS)
        ),
        caller=section.optional(
            "caller", scalars.one_of({shown.value: shown for shown in CallerShown}), CallerShown.PSEUDONYM
        ),
        ca=section.optional("ca", file_path(base), None),
    )
    section.close()
    return hook


def _read_secret(webhook: Section, base: Path) -> Secret:
    if not webhook.has("secret"):
        webhook.refuse(webhook.node.place, "secret is missing: {file: NAME} or {env: NAME}")
    section = webhook.section("secret")
    if section is None:
        return Secret()
    if section.has("file") == section.has("env"):
        section.refuse(section.node.place, "must have file or env, one of both")
    secret = Secret(section.optional("file", file_path(base), None), section.optional("env", _VARIABLE, ""))
    section.close()
    return secret


def _receiver_url(node: Node) -> str:
    value = scalars.url(node)
    parts = urlsplit(value)
    if parts.scheme == "http" and not scalars.is_loopback(parts.hostname or ""):
        raise Refused("must be https, unless it is on this machine")
    return value


def _link(node: Node) -> str:
    value = scalars.line(node)
    if value.count("{hold}") != 1 or not value.isascii():
        raise Refused("must be a URL with {hold} in it, as in https://reviews.example.com/holds/{hold}")
    # The hold's id stands for itself wherever it is: in the path, the query or the fragment.
    plain = value.replace("{hold}", "x")
    if urlsplit(plain).scheme not in ("http", "https") or not urlsplit(plain).hostname or " " in plain:
        raise Refused("must be an http:// or https:// URL with {hold} in it")
    return value
