"""How soon Envoy leaves out a process of the service that says it is not serving any more."""

from __future__ import annotations

from typing import Final

from authz_service.keys.data_dir import DataDir
from authz_service.proxy.document import read_document
from authz_service.proxy.shape import get, items
from authz_service.proxy.template import template_text

SERVICE: Final = "authz_service"
SPARE: Final = 0.5
"""Seconds for the answer to a check to come to every thread of Envoy's."""

_DEFAULT: Final = 3.0
_UNITS: Final = {"ms": 0.001, "us": 0.000_001, "ns": 0.000_000_001, "s": 1.0}


def left_out_within(data: DataDir) -> float:
    """Seconds after which Envoy asks nobody who says NOT_SERVING, by the file that it runs with here.

    Of an Envoy elsewhere, the file that `authz envoy render` writes is taken to be what it runs with.
    Whatever the threshold, a check that is answered so counts at once: it is for those without an answer.
    """
    file = data.envoy_config
    document, _ = read_document(file.read_text() if file.exists() else template_text())
    clusters = items(get(document, "static_resources", "clusters"))
    checks = [
        check for c in clusters if get(c, "name") == SERVICE for check in items(get(c, "health_checks"))
    ]
    return SPARE + max((_longest_pause(check) for check in checks), default=_DEFAULT)


def _longest_pause(check: object) -> float:
    return sum(_seconds(get(check, name)) for name in ("interval", "interval_jitter"))


def _seconds(duration: object) -> float:
    """A duration as Envoy's files have it (`3s`, `250ms`); 0 for none."""
    text = str(duration or "0s")
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            try:
                return float(text.removesuffix(unit)) * factor
            except ValueError:
                return _DEFAULT
    return _DEFAULT
