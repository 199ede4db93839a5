"""`notify`: who is told of holds, and everything that would tell nobody, or anybody, is a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.audit.draft import Kind
from authz_service.config.notify_values import CallerShown, NotifiedWebhook, Notify, Secret
from authz_service.config.read import Loaded
from authz_service.core.notifications import EVENTS

Faults = Callable[[str], list[tuple[int, int, str]]]

WHOLE = """\
notify:
  link: "https://reviews.example.com/holds/{hold}?tab=new"
  give_up_after: 2h
  webhooks:
    - {name: chat, url: "https://chat.example.com/hook", secret: {file: chat.secret}, caller: name,
       events: [opened, break_glass], ca: ca.pem}
    - {name: pager, url: "http://127.0.0.1:9000/", secret: {env: PAGER}}
"""


def test_every_key_is_read(load: Callable[[str], Loaded], smallest: str) -> None:
    chat = NotifiedWebhook(
        "chat",
        "https://chat.example.com/hook",
        Secret(Path("/etc/authz/chat.secret")),
        ("opened", "break_glass"),
        CallerShown.NAME,
        Path("/etc/authz/ca.pem"),
    )
    pager = NotifiedWebhook("pager", "http://127.0.0.1:9000/", Secret(variable="PAGER"))
    found = load(smallest + WHOLE).config.notify
    assert found == Notify((chat, pager), "https://reviews.example.com/holds/{hold}?tab=new", 7200.0)
    assert found.wanted.receivers[Kind.HOLD_OPENED] == ("chat", "pager")
    assert found.wanted.receivers[Kind.HOLD_EXPIRED] == ("pager",)
    assert found.wanted.receivers.keys() == set(EVENTS.values())


def test_without_the_section_nobody_is_told(load: Callable[[str], Loaded], smallest: str) -> None:
    loaded = load(smallest)
    assert loaded.config.notify == Notify()
    assert not loaded.config.notify.wanted.receivers
    assert loaded.digest == load(smallest + WHOLE).digest


HOOK = 'name: a, url: "https://a.example/"'
GOOD = "secret: {env: A}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"webhooks: [{{{HOOK}}}]", "secret is missing"),
        (f"webhooks: [{{{HOOK}, secret: {{}}}}]", "file or env, one of both"),
        (f"webhooks: [{{{HOOK}, secret: {{file: a, env: B}}}}]", "file or env, one of both"),
        (f"webhooks: [{{{HOOK}, secret: {{env: a b}}}}]", "name of an environment variable"),
        (f"webhooks: [{{{HOOK}, secret: whsec_x}}]", "must be a mapping"),
        (f"webhooks: [{{{HOOK}, {GOOD}, events: [approve]}}]", "must be opened or"),
        (f"webhooks: [{{{HOOK}, {GOOD}, events: []}}]", "must not be empty"),
        (f"webhooks: [{{{HOOK}, {GOOD}, caller: email}}]", "must be pseudonym or name"),
        (f"webhooks: [{{{HOOK}, {GOOD}, token: x}}]", "unknown key 'token'"),
        (f"webhooks: [{{{HOOK}, {GOOD}}}, {{{HOOK}, {GOOD}}}]", "a stands here twice"),
        (f'webhooks: [{{name: a, url: "http://a.example/", {GOOD}}}]', "must be https"),
        (f'webhooks: [{{name: a, url: "https://u:p@a.example/", {GOOD}}}]', "without user and password"),
        (f'webhooks: [{{name: a, url: "file:///etc/passwd", {GOOD}}}]', "http:// or https://"),
        ('link: "https://a.example/"', "with {hold} in it"),
        ('link: "javascript:{hold}"', "with {hold} in it"),
        ("give_up_after: 8d", "must be from"),
        ("mails: []", "unknown key 'mails'"),
    ],
)
def test_what_is_wrong_is_said(faults: Faults, smallest: str, text: str, message: str) -> None:
    found = faults(f"{smallest}notify: {{{text}}}\n")
    assert any(message in said for _, _, said in found), found
