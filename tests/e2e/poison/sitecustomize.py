"""On the PYTHONPATH of a gateway under test: its workers die of reading a request that says POISON."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

if "--part" in sys.orig_argv and "-1" not in sys.orig_argv:
    from authz_service.inspection.request import inspect_request
    from authz_service.runtime import judging

    def _deadly(*arguments: Any, **named: Any) -> Any:
        if any(b"POISON" in value for value in (*arguments, *named.values()) if isinstance(value, bytes)):
            os.kill(os.getpid(), signal.SIGKILL)
        return inspect_request(*arguments, **named)

    vars(judging)["inspect_request"] = _deadly
