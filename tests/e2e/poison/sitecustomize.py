"""On the PYTHONPATH of a gateway under test: its workers die of a request with POISON in its body or path."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

if "--part" in sys.orig_argv and "-1" not in sys.orig_argv:
    from authz_service.inspection.request import inspect_request
    from authz_service.runtime import judging
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

    vars(judging)["inspect_request"] = _deadly
    vars(ext_authz)["request_headers"] = _deadly_head
