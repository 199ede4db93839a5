"""A reviewer is told what in a request is no text: they look at it themselves, or reject."""

from __future__ import annotations

import base64
import hashlib
import json

from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_hold

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)
URL = f"data:image/jpeg;base64,{base64.b64encode(PNG).decode()}"


def held(review: Review, content: object) -> None:
    body = json.dumps({"model": "llama", "messages": [{"role": "user", "content": content}]}).encode()
    review.put(make_hold(body=body, api="openai_chat", operation="chat_completions"))


def test_a_hold_shows_kind_type_size_and_digest_of_what_is_unread(review: Review, terminal: Terminal) -> None:
    held(review, [{"type": "image_url", "image_url": {"url": URL}}])
    digest = hashlib.sha256(PNG).hexdigest()
    assert terminal.json("hold", "show", "hld_1")["unread"] == [
        {
            "kind": "image",
            "type": "image/png",
            "declared": "image/jpeg",
            "mismatch": True,
            "scheme": "",
            "size": 36,
            "sha256": digest,
            "path": "messages[0].content[0].image_url.url",
        }
    ]
    shown = " ".join(terminal.type("hold", "show", "hld_1").stdout.split())
    said = f"Unread: image: image/png, declared as image/jpeg, 36 bytes, sha256 {digest}, at messages[0]"
    assert said in shown


def test_a_url_is_told_with_its_scheme(review: Review, terminal: Terminal) -> None:
    held(review, [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])
    assert "reference: a URL, https, 25 bytes" in terminal.type("hold", "show", "hld_1").stdout


def test_a_hold_of_text_alone_has_nothing_unread(review: Review, terminal: Terminal) -> None:
    held(review, "hello")
    assert terminal.json("hold", "show", "hld_1")["unread"] == []
    assert "Unread:" not in terminal.type("hold", "show", "hld_1").stdout


def test_a_body_that_is_no_longer_read_is_unread_as_a_whole(review: Review, terminal: Terminal) -> None:
    held(review, [{"type": "something_new"}])
    ((unread),) = terminal.json("hold", "show", "hld_1")["unread"]
    assert (unread["kind"], unread["path"]) == ("malformed", "the body")
    review.put(make_hold(api="no such adapter"))
    assert terminal.json("hold", "show", "hld_1")["unread"] == []
