"""Streams of every dialect whose events differ in a text, and in what may vary beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from authz_service.model_apis.anthropic import Anthropic
from authz_service.model_apis.base import ModelApi
from authz_service.model_apis.llamacpp import LlamaCpp
from authz_service.model_apis.ollama import Ollama
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_completions import OpenAiCompletions
from authz_service.model_apis.openai_responses import OpenAiResponses
from authz_service.model_apis.tgi import Tgi
from authz_service.view.request import RequestView

USUAL: Mapping[str, Sequence[bytes]] = {
    "@count": (b"0", b"7", b"41", b"999999"),
    "@small": (b"-0.5", b"0", b"-12", b"-1.1920929e-07", b"999999.5", b"-0"),
    "@counts": (b"[1]", b"[298,17]", b"[1, 2]"),
    "@aside": (b"xyz", b"2-11-21T19:02:03.123Z", b"", b"A+b_c="),
    "@pad": (b"", b" ", b"       "),
}
"""What stands in the events of a stream, by its mark in a template."""

ODD: Mapping[str, Sequence[bytes]] = {
    "@count": (
        *(
            b"1000000",
            b"4111111111",
            b"-1",
            b"007",
            b"1.0",
            b"1e3",
            b"null",
            b"true",
            b'"x"',
            b'"s3cr3t"',
            b"[1]",
        ),
        *(b"", b"1 ", b" 1", b'1,"x":"1234 "', b"\n1", b"0x1", b"{}"),
    ),
    "@small": (
        *(b"-1e30", b"1234567.5", b"1e5", b"NaN", b"-.5", b"1.", b"null", b"-Infinity", b"true", b'"1234"'),
        *(b"0.1e-400", b"00.5", b"[0]", b"-1e-9999", b"1000000"),
    ),
    "@counts": (
        *(
            b"[]",
            b"[1,]",
            b"[-1]",
            b"[1000000]",
            b"[1.5]",
            b"[ 1]",
            b"null",
            b"[[1]]",
            b'["1234"]',
            b"[true]",
        ),
        *(b"1", b"[01]", b"[" + b"1," * 70 + b"1]"),
    ),
    "@aside": (
        *(
            b"1234",
            b"s3cr3t",
            b"a@b",
            "é".encode(),
            b"\\u0031234",
            b"\\n",
            b'a\\"b',
            b'","x":"1234 ',
            b"\xff",
        ),
        *(b"x" * 300, b"x" * 300 + b"1234", b"\\", b"\n", b"\\ud83d"),
    ),
    "@pad": (b"\t", b"\n", b',"x":"1234 "', b"}", b" " * 300),
}
"""What no such event has."""


@dataclass(frozen=True, slots=True)
class Repeating:
    """A dialect with `templates` of events; `opening` comes first, `turns` may come anywhere."""

    api: ModelApi
    operation: str
    templates: Sequence[bytes]
    opening: Sequence[bytes] = ()
    turns: Sequence[bytes] = ()
    content_type: str = "text/event-stream"
    lead: bytes = b"data: "
    end: bytes = b"\n\n"
    request: RequestView = field(init=False)

    def __post_init__(self) -> None:
        request = RequestView(self.api.name, self.operation, "llama", True, (), tools=("send_mail",))
        object.__setattr__(self, "request", request)

    def __repr__(self) -> str:
        return f"{self.api.name}-{self.operation}"

    def framed(self, document: bytes) -> bytes:
        """A document as an event, or a line."""
        return self.lead + document + self.end


def filled(template: bytes, text: bytes, values: Mapping[str, bytes]) -> bytes:
    """A document: `text` is the inside of its JSON string, `values` are those of marks."""
    for mark in USUAL:
        template = template.replace(mark.encode() + b";", values.get(mark, USUAL[mark][0]))
    return template.replace(b"@text;", text)


def _block(index: int, kind: bytes, key: bytes) -> bytes:
    return b'{"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":"@text;"}@pad;}' % (
        index,
        kind,
        key,
    )


def _begun(index: int, block: bytes) -> bytes:
    return b'{"type":"content_block_start","index":%d,"content_block":{%b}}' % (index, block)


def _response(kind: bytes, where: bytes) -> bytes:
    return (
        b'{"type":"response.%b.delta",%b"sequence_number":@count;,"delta":"@text;","obfuscation":"@aside;"}'
        % (kind, where)
    )


_TEXT = b'"type":"text","text":""'
_CHUNK = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'

STREAMS = (
    Repeating(
        OpenAiChat(),
        "chat_completions",
        (
            _CHUNK + b'{"content":"@text;"},"finish_reason":null}],"obfuscation":"@aside;"}',
            _CHUNK + b'{"reasoning":"@text;"},"finish_reason":null}],"obfuscation":"@aside;"@pad;}',
            _CHUNK + b'{"content":"@text;"},"finish_reason":null}],"usage":null}',
        ),
    ),
    Repeating(
        Anthropic(),
        "messages",
        (
            _block(0, b"text_delta", b"text"),
            _block(1, b"thinking_delta", b"thinking"),
            _block(2, b"input_json_delta", b"partial_json"),
            _block(3, b"text_delta", b"text"),
            _block(1, b"signature_delta", b"signature"),
            _block(0, b"text_delta", b"own"),
            _block(0, b"text_delta", b"text").replace(b'"@text;"', b'"@text;","own":null'),
        ),
        (
            b'{"type":"message_start","message":{"type":"message","role":"assistant","content":[]}}',
            _begun(0, _TEXT),
            _begun(1, b'"type":"thinking","thinking":""'),
            _begun(2, b'"type":"tool_use","id":"t","name":"send_mail","input":{}'),
            _begun(3, _TEXT),
        ),
        (
            b'{"type":"ping"}',
            b'{"type":"content_block_stop","index":0}',
            b'{"type":"content_block_stop","index":1}',
            _begun(4, _TEXT),
            _block(4, b"text_delta", b"text").replace(b"@text;", b"12").replace(b"@pad;", b""),
        ),
        lead=b"event: content_block_delta\ndata: ",
    ),
    Repeating(
        OpenAiCompletions(),
        "completions",
        (
            (
                b'{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"@text;",'
                b'"logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}'
            ),
            b'{"id":"c","choices":[{"index":1,"text":"@text;"}]}',
            b'{"id":"c","choices":[{"index":0,"text":"@text;","logprobs":{"tokens":["12"]}}]}',
            b'{"id":"c","choices":[{"index":0,"text":"@text;","reasoning":null}]}',
            b'{"id":"c","choices":[{"index":0,"text":"x","reasoning":"@text;"}]}',
        ),
        turns=(b'{"id":"c","choices":[{"index":0,"text":"","finish_reason":"stop"}]}',),
    ),
    Repeating(
        OpenAiResponses(),
        "responses",
        (
            _response(b"output_text", b'"item_id":"i","output_index":0,"content_index":0,"logprobs":[],'),
            _response(b"output_text", b'"item_id":"i","output_index":0,"content_index":1,'),
            _response(b"output_text", b""),
            _response(b"function_call_arguments", b'"item_id":"f","output_index":1,'),
            _response(b"reasoning_summary_text", b'"item_id":"r","summary_index":0,'),
            _response(b"output_text", b'"item_id":"i","content_index":0,"own":"12",'),
            _response(b"output_text", b'"item_id":"i","content_index":0,"own":null,'),
        ),
        (
            b'{"type":"response.created","response":{"id":"r","object":"response","output":[]}}',
            b'{"type":"response.output_item.added","output_index":0,"item":{"id":"i","type":"message","content":[]}}',
        ),
        (
            b'{"type":"response.output_text.done","item_id":"i","content_index":0,"text":"12345 "}',
            b'{"type":"response.output_item.done","output_index":0,"item":{"id":"i","type":"message"}}',
            b'{"type":"response.in_progress"}',
        ),
    ),
    Repeating(
        Ollama(),
        "chat",
        (
            b'{"model":"m","created_at":"@aside;","message":{"role":"assistant","content":"@text;"},"done":false}',
            (
                b'{"model":"m","created_at":"@aside;","message":{"role":"assistant","content":"","thinking":"@text;"},'
                b'"done":false}'
            ),
            b'{"model":"m","created_at":"@aside;","response":"@text;","done":false}',
            b'{"model":"m","created_at":"@aside;","message":{"content":"x","own":"@text;"},"done":false}',
            b'{"model":"m","created_at":"@aside;","message":{"content":"@text;","own":""},"done":false}',
        ),
        turns=(b'{"model":"m","message":{"content":""},"done":true,"eval_count":2}', b""),
        content_type="application/x-ndjson",
        lead=b"",
        end=b"\n",
    ),
    Repeating(
        LlamaCpp(),
        "completion",
        (
            (
                b'{"index":0,"content":"@text;","tokens":@counts;,"stop":false,"id_slot":-1,"tokens_predicted":@count;,'
                b'"tokens_evaluated":5}'
            ),
            b'[{"index":1,"content":"@text;","tokens":@counts;,"stop":false,"tokens_predicted":@count;}]',
            b'{"index":0,"content":"@text;","tokens":@counts;,"tokens_predicted":@count;}',
            b'{"content":"@text;","stop":false,"own":"12"}',
            b'{"content":"@text;","stop":false,"own":null}',
        ),
        turns=(b'{"index":0,"content":"","stop":true,"tokens_predicted":4,"tokens_evaluated":5}',),
    ),
    Repeating(
        Tgi(),
        "generate_stream",
        (
            (
                b'{"index":@count;,"token":{"id":@count;,"text":"@text;","logprob":@small;,"special":false},'
                b'"generated_text":null,"details":null}'
            ),
            b'{"token":{"id":@count;,"text":"@text;","logprob":null}}',
            b'{"token":{"text":"@text;","logprob":@small;,"own":"x"}}',
            b'{"token":{"text":"@text;","logprob":@small;,"own":null}}',
        ),
        turns=(b'{"index":9,"token":{"id":2,"text":"","special":true},"generated_text":"12345"}',),
    ),
)
