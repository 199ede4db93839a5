"""Envoy's own replies to requests that never came to ext_proc, which it shows us on their way out.

A refusal by ext_authz (401) is one: its stream begins with the answer's headers, since the request was
stopped before this filter. Nothing was forwarded, so nothing of a model can be in it; still, only what
such a reply needs goes on, and only when it says that the request failed.
"""

from __future__ import annotations

import grpc

from authz_service.errors import Forbidden
from authz_service.framing.headers import ANSWER_ALLOWED, to_remove
from authz_service.servers.ext_proc_messages import answer_body, release_answer
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]

REPLY_HEADERS = ANSWER_ALLOWED | {"www-authenticate", "x-should-retry", "x-envoy-overloaded"}
LARGEST_REPLY = 64 * 1024


async def pass_local_reply(context: Context, first: ProcessingRequest) -> None:
    """Pass a failure of Envoy's on; raises `Forbidden` for anything that might be a model's answer."""
    names = tuple(header.key for header in first.response_headers.headers.headers)
    status = next((h for h in first.response_headers.headers.headers if h.key == ":status"), None)
    code = int(status.raw_value or status.value) if status is not None else 0
    if code < 400 or "x-envoy-upstream-service-time" in names:
        raise Forbidden("an answer came on a stream that has no request")
    await context.write(release_answer(set_headers={}, remove=to_remove(names, REPLY_HEADERS)))
    size = 0
    is_last = first.response_headers.end_of_stream
    while not is_last:
        message: object = await context.read()
        if not isinstance(message, ProcessingRequest) or not message.HasField("response_body"):
            raise Forbidden("a reply of Envoy's broke off")
        size += len(message.response_body.body)
        if size > LARGEST_REPLY:
            raise Forbidden("a reply of Envoy's is too large to be one")
        is_last = message.response_body.end_of_stream
        for response in answer_body(message.response_body.body, is_last=is_last):
            await context.write(response)
