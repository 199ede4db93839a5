"""On the PYTHONPATH of a gateway under test: it fails at what says LOUD, and its errors quote it."""

from __future__ import annotations

import sys
from typing import Any

if "serve" in sys.orig_argv:
    from authz_service.identity.verifier import Verifier
    from authz_service.inspection.answer import answer_pipe
    from authz_service.inspection.request import inspect_request
    from authz_service.runtime import answer_pipes, judging
    from authz_service.servers import review_holds
    from authz_service.store.transaction import Transaction

    def _inspect(*arguments: Any, **named: Any) -> Any:
        if b"LOUD-REQUEST" in repr((arguments, named)).encode():
            raise ValueError(f"cannot inspect {arguments} {named}")
        return inspect_request(*arguments, **named)

    class _Pipe:
        def __init__(self, pipe: Any) -> None:
            self._pipe = pipe

        def feed(self, data: bytes) -> Any:
            if b"LOUD-ANSWER" in data:
                raise RuntimeError(data)
            return self._pipe.feed(data)

        def finish(self) -> Any:
            return self._pipe.finish()

    def _record(self: Transaction, *drafts: Any) -> Any:
        if "LOUD-RECORD" in repr(drafts):
            raise ValueError(drafts)
        return _recorded(self, *drafts)

    async def _verify(self: Verifier, token: str, *more: Any) -> Any:
        if "LOUD-TOKEN" in token:
            raise ValueError(token)
        return await _verified(self, token, *more)

    def _message(hold: Any, *more: Any, **named: Any) -> Any:
        seen = named.get("seen")
        if seen is not None and b"LOUD-REVIEW" in seen.hold.forward:
            raise ValueError(hold, seen.hold.forward)
        return _shown(hold, *more, **named)

    _recorded, _verified, _shown = Transaction.record, Verifier.verify_gateway, review_holds._message
    vars(judging)["inspect_request"] = _inspect
    vars(answer_pipes)["answer_pipe"] = lambda *a, **n: _Pipe(answer_pipe(*a, **n))
    vars(review_holds)["_message"] = _message
    Transaction.record = _record  # type: ignore[method-assign]  # that is what this module is for
    Verifier.verify_gateway = _verify  # type: ignore[method-assign]  # as above
