"""What tests of repeated events share: a pipe, a reader that reads everything, and events to count."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import RequestView

MASKED = frozenset({"NUMBER", "ADDRESS"})


class ReadsAll(OpenAiChat):
    """The same dialect, without the promise that lets an event go unread."""

    def answer_reader(self, request: RequestView) -> Any:
        reader = super().answer_reader(request)

        class Reader:
            def read(self, document: object) -> AnswerFrame:
                return reader.read(document)._replace(repeats=False)

        return Reader()


def pipe(kit: Any, api: OpenAiChat, max_body: int = 100_000) -> AnswerPipe:
    return answer_pipe(
        api=api,
        request=kit.request,
        content_type="text/event-stream",
        scanner=kit.scanner(),
        masked_entities=MASKED,
        max_body=max_body,
        max_depth=16,
    )


def steps(p: AnswerPipe, pieces: list[bytes]) -> list[object]:
    """What each piece released, found and masked; the code of an error ends it."""
    taken: list[object] = []
    try:
        taken.extend(p.feed(piece) for piece in pieces)
        taken.append(p.finish())
    except Unreadable as error:
        taken.append(error.code)
    return taken


words = st.sampled_from(
    ["12", "345 ", "a@b", "x ", "", "\n", '"', "\\", "é", "\u2028", "\x7f", "😀", "s3cr3t"]
)
said = st.lists(words, max_size=3).map("".join)


def delta_of(kind: str, text: str) -> dict[str, Any]:
    if kind == "arguments":
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
    return {kind: text}


ODDITIES: dict[str, list[Any]] = {
    "id": ["1234", "a@b", "d"],
    "finish": ["stop", "1234"],
    "index": [1],
    "lead": [b"data:", b"\xef\xbb\xbfdata: ", b":\ndata: ", b"id: 1\ndata: ", b"event: x\ndata: "],
    "end": [b"\r\n\r\n", b"\n:\n\n", b"\n\n:\n\n"],
    "inside": [
        *(b"\\u0031234 ", b"\\ud83d\\ude00", b"\\ud83d", b"\\", b"\x01", b"\t", b'"', b'","x":"', b"\xff"),
        *(b"\\q", b"}", b'"}}]}', b"\xef\xbb\xbf", b"\r", b"\\n", b"1234 "),
    ],
}


@st.composite
def events(draw: st.DrawFn, kit: Any) -> bytes:
    """One event: most are like the others, some are odd in one thing."""
    name = draw(st.sampled_from([""] * 12 + list(ODDITIES)))
    odd = {name: draw(st.sampled_from(ODDITIES[name]))} if name else {}
    kind = draw(st.sampled_from(["content", "content", "content", "reasoning", "arguments", "other"]))
    finish = odd.get("finish")
    choice = {"index": odd.get("index", 0), "delta": delta_of(kind, "@@@"), "finish_reason": finish}
    document = json.dumps(kit.chunk(choice, id=odd.get("id", "c")), separators=(",", ":")).encode()
    text = json.dumps(draw(said), ensure_ascii=draw(st.booleans()))[1:-1].encode()
    inside = text + bytes(odd.get("inside", b""))
    lead, end = bytes(odd.get("lead", b"data: ")), bytes(odd.get("end", b"\n\n"))
    return lead + document.replace(b"@@@", inside) + end


def said_in(kit: Any, texts: list[str], **others: Any) -> list[bytes]:
    return [bytes(kit.sse([kit.chunk(kit.delta(content=t), **others)], end=False)) for t in texts]
