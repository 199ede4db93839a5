"""On the PYTHONPATH of a gateway under test: its workers die of certain requests.

Of POISON in a body or path, and of VENOM in a body when its answer was held and is approved.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

if "--part" in sys.orig_argv and "-1" not in sys.orig_argv:
    from authz_service.inspection.request import inspect_request
    from authz_service.runtime import held_answers, judging
    from authz_service.runtime.answers import decide_answer
    from authz_service.servers import ext_authz
    from authz_service.servers.credentials import request_headers

    def _deadly(*arguments: Any, **named: Any) -> Any:
        if any(b"POISON" in value for value in (*arguments, *named.values()) if isinstance(value, bytes)):
            os.kill(os.getpid(), signal.SIGKILL)
        return inspect_request(*arguments, **named)

    def _deadly_head(http: Any) -> Any:
        if "POISON" in http.path:
            os.kill(os.getpid(), signal.SIGKILL)
        return request_headers(http)

    def _deadly_held(rules: Any, caller: Any, inspection: Any, *more: Any) -> Any:
        if b"VENOM" in inspection.forward:
            os.kill(os.getpid(), signal.SIGKILL)
        return decide_answer(rules, caller, inspection, *more)

    vars(held_answers)["decide_answer"] = _deadly_held
    vars(judging)["inspect_request"] = _deadly
    vars(ext_authz)["request_headers"] = _deadly_head
