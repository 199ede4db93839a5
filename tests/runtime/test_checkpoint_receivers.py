"""Webhooks, syslog and buckets get checkpoints as their protocols say."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.checkpoints_place import DELIVERY, within

from authz_service.config.record_values import Bucket, Syslog, Webhook
from authz_service.runtime.checkpoint_delivery import NotDelivered
from authz_service.runtime.checkpoint_receivers import receiver_of


class Handler(BaseHTTPRequestHandler):
    """Answers with the status of the server, and keeps what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.command, self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_gets_the_checkpoint_and_its_proof_with_the_token(server: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    within(receiver_of(Webhook(f"{server.url}/kept", tmp_path / "token")).deliver(DELIVERY))
    method, path, headers, body = server.got[0]
    assert (method, path) == ("POST", "/kept")
    assert headers["authorization"] == "Bearer secret-token"
    sent = json.loads(body)
    assert (sent["size"], sent["checkpoint"], sent["previous"], sent["proof"]) == (7, DELIVERY.text, None, [])


@pytest.mark.parametrize("status", [302, 401, 409, 500])
def test_a_webhook_that_does_not_say_yes_has_not_taken_it(server: Any, status: int) -> None:
    server.status = status
    with pytest.raises(NotDelivered, match=f"answers {status}"):
        within(receiver_of(Webhook(server.url)).deliver(DELIVERY))
    assert len(server.got) == 1


def test_what_cannot_be_reached_or_has_no_token_is_told_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Webhook("http://127.0.0.1:1/")).deliver(DELIVERY))
    (tmp_path / "token").write_bytes(b"two\nlines")
    with pytest.raises(NotDelivered, match="holds no token") as error:
        within(receiver_of(Webhook("http://127.0.0.1:1/", tmp_path / "token")).deliver(DELIVERY))
    assert "lines" not in str(error.value)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Syslog("tcp", "127.0.0.1", 1)).deliver(DELIVERY))
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Syslog("unix", str(tmp_path / "none"), 0)).deliver(DELIVERY))


SYSLOG = re.compile(
    rb"<109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ authz \d+ checkpoint - (\{.*\})", re.DOTALL
)


def test_syslog_gets_a_message_of_rfc_5424_by_udp_tcp_and_unix(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(60)
        udp.bind(("127.0.0.1", 0))
        within(receiver_of(Syslog("udp", "127.0.0.1", udp.getsockname()[1])).deliver(DELIVERY))
        check_syslog(udp.recv(65536))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.settimeout(60)
        unix.bind(str(tmp_path / "log"))
        within(receiver_of(Syslog("unix", str(tmp_path / "log"), 0)).deliver(DELIVERY))
        check_syslog(unix.recv(65536))
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        tcp.settimeout(60)
        within(receiver_of(Syslog("tcp", "127.0.0.1", tcp.getsockname()[1])).deliver(DELIVERY))
        connection, _ = tcp.accept()
        with connection:
            stream = connection.makefile("rb").read()
        length, _, message = stream.partition(b" ")
        assert int(length) == len(message)  # RFC 6587 3.4.1
        check_syslog(message)


def check_syslog(message: bytes) -> None:
    found = SYSLOG.fullmatch(message)
    assert found is not None, message
    assert json.loads(found[1])["checkpoint"] == DELIVERY.text


def signature_of(headers: dict[str, str], path: str, secret: str) -> str:
    """AWS Signature Version 4 of a PUT, computed anew from what arrived."""
    names = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    scope = re.search(r"Credential=[^/]+/([^,]+)", headers["authorization"])
    assert names is not None
    assert scope is not None
    lines = "".join(f"{name}:{headers[name]}\n" for name in names[1].split(";"))
    request = f"PUT\n{path}\n\n{lines}\n{names[1]}\n{headers['x-amz-content-sha256']}"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope[1]}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in scope[1].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_a_bucket_gets_an_object_that_is_signed_for_and_locked(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    server.status = 200
    within(receiver_of(Bucket("kept", "authz/", "eu-central-1", server.url, 86_400.0)).deliver(DELIVERY))
    method, path, sent, body = server.got[-1]
    headers = {name.lower(): value for name, value in sent.items()}
    assert (method, path, body) == (
        "PUT",
        "/kept/authz/000000000000000007.checkpoint",
        DELIVERY.text.encode(),
    )
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert headers["x-amz-object-lock-retain-until-date"] > "2026"
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["authorization"].endswith(f"Signature={signature_of(headers, path, 'the-secret')}")


def test_a_bucket_that_refuses_has_not_taken_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    server.status = 403
    with pytest.raises(NotDelivered) as error:
        within(receiver_of(Bucket("kept", endpoint=server.url)).deliver(DELIVERY))
    assert "secret" not in str(error.value)
    with pytest.raises(NotDelivered, match="cannot be reached"):
        within(receiver_of(Bucket("kept", endpoint="http://127.0.0.1:1")).deliver(DELIVERY))
