"""A webhook behind a real server: what is sent verifies with the standard's own library, or is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.notify.receiver import SECRET, Receiver

from authz_service.config.notify_values import NotifiedWebhook, Notify, Secret
from authz_service.errors import Misconfigured
from authz_service.notify.channel import NotDelivered, Notice
from authz_service.notify.secrets import read_secrets, require_secrets
from authz_service.notify.webhook import WebhookChannel

OTHER_SECRET = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5IGJ5dGVzIQ=="
NOTICE = Notice(
    "ntf_1", "hold.opened", 1_800_000_000.0, "hld_1", "contractors", "p-alice", "llama", 1_800_001_800.0
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def channel(receiver: Receiver, folder: Path, *, secret: str = SECRET, **more: Any) -> WebhookChannel:
    (folder / "chat.secret").write_text(secret + "\n")
    hook = NotifiedWebhook("chat", receiver.url, Secret(folder / "chat.secret"))
    return WebhookChannel(hook, **more)


def refused(channel: WebhookChannel) -> str:
    with pytest.raises(NotDelivered) as error:
        asyncio.run(channel.deliver(NOTICE))
    return str(error.value)


def test_what_arrives_verifies_and_is_thin(receiver: Receiver, tmp_path: Path) -> None:
    asyncio.run(channel(receiver, tmp_path).deliver(NOTICE))
    (sent,) = receiver.sent
    assert Webhook(SECRET).verify(sent.body, dict(sent.headers)) == {
        "type": "hold.opened",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {
            "hold": "hld_1",
            "rule": "contractors",
            "caller": "p-alice",
            "model": "llama",
            "deadline": "2027-01-15T08:30:00.000Z",
            "link": None,
        },
    }
    assert (sent.path, sent.id, sent.headers["content-type"]) == ("/hook", "ntf_1", "application/json")


def test_a_changed_body_an_old_time_and_another_secret_do_not_verify(
    receiver: Receiver, tmp_path: Path
) -> None:
    asyncio.run(channel(receiver, tmp_path).deliver(NOTICE))
    asyncio.run(channel(receiver, tmp_path, clock=lambda: time.time() - 3600).deliver(NOTICE))
    good, old = receiver.sent
    for secret, sent, body in (
        (SECRET, good, good.body.replace(b"llama", b"lemma")),
        (OTHER_SECRET, good, good.body),
        (SECRET, old, old.body),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, dict(sent.headers))


def test_while_secrets_are_changed_either_verifies(receiver: Receiver, tmp_path: Path) -> None:
    asyncio.run(channel(receiver, tmp_path, secret=f"{OTHER_SECRET}\n{SECRET}").deliver(NOTICE))
    (sent,) = receiver.sent
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(sent.body, dict(sent.headers))


def test_the_same_notice_is_the_same_id_and_bytes(receiver: Receiver, tmp_path: Path) -> None:
    for _ in range(2):
        asyncio.run(channel(receiver, tmp_path).deliver(NOTICE))
    first, second = receiver.sent
    assert (first.id, first.body) == (second.id, second.body)


def test_whatever_is_no_2xx_was_not_delivered(receiver: Receiver, tmp_path: Path) -> None:
    for status in (302, 400, 410, 429, 500):
        receiver.status = status
        assert refused(channel(receiver, tmp_path)) == f"it answers {status}"


@pytest.mark.parametrize(
    ("asked", "again_in"),
    [
        ("120", 120.0),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        *((odd, 0.0) for odd in ("", "soon", "-5", "1.5", "\u00b2", "Fri, 99 Jan 2027 08:00:00 GMT")),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_a_receiver_says_how_long_it_wants_to_be_left_alone(
    receiver: Receiver, tmp_path: Path, asked: str, again_in: float
) -> None:
    receiver.status, receiver.headers = 429, {"retry-after": asked}
    with pytest.raises(NotDelivered) as error:
        asyncio.run(channel(receiver, tmp_path, clock=lambda: 1_800_000_000.0).deliver(NOTICE))
    assert (str(error.value), error.value.again_in) == ("it answers 429", again_in)


def test_a_redirect_is_not_followed(receiver: Receiver, tmp_path: Path) -> None:
    with Receiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"location": elsewhere.url}
        assert refused(channel(receiver, tmp_path)) == "it answers 307"
        assert (len(receiver.sent), elsewhere.sent) == (1, [])


def test_a_proxy_of_the_environment_gets_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        asyncio.run(channel(receiver, tmp_path).deliver(NOTICE))
        assert (len(receiver.sent), proxy.sent) == (1, [])


def test_of_an_answer_only_the_status_counts(receiver: Receiver, tmp_path: Path) -> None:
    receiver.status, receiver.answer = 200, b"x" * 50_000_000
    asyncio.run(channel(receiver, tmp_path).deliver(NOTICE))


def test_one_that_hangs_is_left(receiver: Receiver, tmp_path: Path) -> None:
    receiver.go_on.clear()
    assert refused(channel(receiver, tmp_path, seconds=0.2)) == "it does not answer within 0.2 s"


def test_one_that_is_away_is_not_named_by_foreign_words(receiver: Receiver, tmp_path: Path) -> None:
    away = channel(receiver, tmp_path)
    receiver.__exit__()
    assert refused(away) == "it cannot be reached (ConnectError)"
    receiver.__enter__()


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!", f"{SECRET}\n" * 5])
def test_what_is_no_secret_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(Misconfigured) as error:
        read_secrets(Secret(tmp_path / "s"))
    assert "s" in str(error.value)
    assert not [word for word in text.split() if len(word) > 6 and word in str(error.value)]


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", SECRET)
    assert read_secrets(Secret(variable="CHAT")) == [b"secret" * 5]
    hook = NotifiedWebhook("chat", "https://x", Secret(tmp_path / "none"))
    with pytest.raises(Misconfigured, match="cannot be read from none"):
        require_secrets(Notify((hook,)))
