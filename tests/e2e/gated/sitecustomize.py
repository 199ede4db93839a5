"""On the PYTHONPATH of a gateway under test: reading what says GATED waits for the pipe named GATE."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if "serve" in sys.orig_argv:
    from authz_service.inspection.request import inspect_request
    from authz_service.runtime import judging

    def _gated(body: bytes, **named: Any) -> Any:
        if b"GATED" in body:
            Path(os.environ["GATE"]).read_bytes()
        return inspect_request(body, **named)

    vars(judging)["inspect_request"] = _gated
