"""What Envoy says once it has sent the whole request, as mail for the driver."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.core.events import AnswerFailed, AnswerStarted, CallerLeft
from authz_service.errors import Unreadable
from authz_service.framing.headers import ANSWER_ALLOWED, left_to_envoy
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.mailbox import AnswerChunk, Mail
from authz_service.servers.crossing import Crossing
from authz_service.servers.ext_proc_stream import EnvoyStream
from authz_service.servers.incoming import header_names, header_texts
from authz_service.servers.wire.ext_proc_pb2 import HttpHeaders, ProcessingRequest

READ = ANSWER_ALLOWED | {":status", "content-encoding"}
"""The answer headers of which the values are read, with those that nothing removes."""


@dataclass(slots=True)
class EnvoyMail:
    """Reads the rest of a stream."""

    stream: EnvoyStream
    gateway: Gateway
    crossing: Crossing

    async def read(self) -> Mail:
        """What Envoy says next; CallerLeft when it has ended the stream."""
        while True:
            message: object = await self.stream.context.read()
            if not isinstance(message, ProcessingRequest):
                return CallerLeft()
            match message.WhichOneof("request"):
                case "response_body":
                    body = message.response_body
                    return AnswerChunk(body.body, body.end_of_stream)
                case "response_headers":
                    return self._answer_started(message.response_headers)
                case "response_trailers":
                    trailers = message.response_trailers.trailers.headers
                    self.stream.answer_trailers = [header.key for header in trailers]
                    return AnswerChunk(b"", is_last=True)
                case _:
                    continue  # an empty or repeated end of the request's body

    def _answer_started(self, headers: HttpHeaders) -> AnswerStarted | AnswerFailed:
        stream = self.stream
        stream.answer_headers = names = header_names(headers)
        staying = left_to_envoy(names)
        came = header_texts(headers, names, READ | staying)
        stream.answer_has_body = not headers.end_of_stream
        status = int(came.get(":status", "502"))
        if status < 200 or came.get("content-encoding", "identity") != "identity":
            # 101 is no end of an answer
            message = "The model server answered in an encoding or a protocol that is not read here."
            return AnswerFailed(Unreadable(message, code="unreadable_answer", status=502))
        crossing = self.crossing.of(came, ANSWER_ALLOWED | staying, self.gateway.rules.scanner)
        if not staying <= crossing.keys():
            message = "The model server answered with a header that cannot be masked."
            return AnswerFailed(Unreadable(message, code="unmaskable", status=502))
        stream.answer_crossing = frozenset(crossing)
        return AnswerStarted(status, crossing, headers.end_of_stream)
