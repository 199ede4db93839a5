"""What tests of the configuration share."""

from __future__ import annotations

from collections.abc import Callable

from authz_service.config.read import Loaded

Faults = Callable[[str], list[tuple[int, int, str]]]


Load = Callable[[str], Loaded]
