"""`python -m tests.llama.record`: writes what llama-server answers into the files of wire traffic."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.people import chat
from tests.llama.server import API_KEY, LlamaServer
from tests.llama.test_llama_sdk import CALLS_A_TOOL

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"

# Without chance every record is cut into the same tokens.
SAYS_HELLO: dict[str, Any] = {"temperature": 0, "grammar": 'root ::= "Hello" " there" "."'}
USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
TOOLS: dict[str, Any] = {
    "tools": CALLS_A_TOOL["tools"],
    "tool_choice": CALLS_A_TOOL["tool_choice"],
    "temperature": 0,
    **CALLS_A_TOOL["extra_body"],
}

COMPLETION: dict[str, Any] = {"model": "llama", "prompt": "Hello", "max_tokens": 8, **SAYS_HELLO}
NATIVE: dict[str, Any] = {"prompt": "Hello", "n_predict": 8, **SAYS_HELLO}
MESSAGE = chat("Hello", max_tokens=6, temperature=0)
RESPONSE: dict[str, Any] = {"model": "llama", "input": "Hello", "max_output_tokens": 8, "temperature": 0}
CALLING: dict[str, Any] = (
    RESPONSE
    | TOOLS
    | {
        "input": "Mail John",
        "tools": [{"type": "function", **CALLS_A_TOOL["tools"][0]["function"]}],
        "max_output_tokens": 200,
    }
)

TOKENS: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
STREAMED: dict[str, Any] = {"stream": True}

RECORDED = {
    "/v1/chat/completions": {
        "llamacpp_answer_text.json": chat("Hello", **SAYS_HELLO),
        "llamacpp_answer_verbose.json": chat("Hello", **SAYS_HELLO, verbose=True),
        "llamacpp_stream_text.sse": chat("Hello", **SAYS_HELLO, **USAGE),
        "llamacpp_answer_logprobs.json": chat("Hello", **SAYS_HELLO, **TOKENS),
        "llamacpp_stream_logprobs.sse": chat("Hello", **SAYS_HELLO, **TOKENS, **STREAMED),
        "llamacpp_stream_tools.sse": chat("Mail John", **TOOLS, **USAGE),
    },
    "/v1/completions": {
        "llamacpp_completion_text.json": COMPLETION,
        "llamacpp_completion_text.sse": COMPLETION | {"stream": True},
        "llamacpp_completion_logprobs.json": COMPLETION | {"logprobs": 2},
    },
    "/completion": {
        "llamacpp_native_text.json": NATIVE,
        "llamacpp_native_text.sse": NATIVE | {"stream": True},
        "llamacpp_native_logprobs.json": NATIVE | {"n_probs": 2},
        "llamacpp_native_logprobs.sse": NATIVE | {"n_probs": 2, "post_sampling_probs": True, "stream": True},
        "llamacpp_native_two.json": NATIVE | {"prompt": ["Hello", "Good day"]},
    },
    "/v1/messages": {
        "llamacpp_messages_text.json": MESSAGE,
        "llamacpp_messages_text.sse": MESSAGE | {"stream": True},
    },
    "/v1/responses": {
        "llamacpp_response_text.json": RESPONSE,
        "llamacpp_response_text.sse": RESPONSE | {"stream": True},
        "llamacpp_response_tools.json": CALLING,
        "llamacpp_response_tools.sse": CALLING | {"stream": True},
    },
}
"""By path, the files and the request that each answers."""


def main() -> None:
    """Run a server of its own, ask it, and write the bodies as they came."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    with tempfile.TemporaryDirectory() as folder, LlamaServer(Path(folder)) as llama:
        for path, name, request in ((p, n, r) for p, files in RECORDED.items() for n, r in files.items()):
            answer = httpx.post(f"{llama.url}{path}", json=request, headers=headers)
            answer.raise_for_status()
            (WIRE / name).write_bytes(answer.content)
            print(f"{name}: {len(answer.content)} bytes")


if __name__ == "__main__":
    main()
