"""Without Presidio a configuration that asks for it is refused, with what to do."""

from __future__ import annotations

import importlib.util

import pytest

from authz_service.config.masking_values import PresidioDetector
from authz_service.errors import Misconfigured
from authz_service.masking.detectors import build_scanner
from authz_service.runtime.presidio import with_presidio


def test_what_is_not_installed_is_named_with_the_way_to_it() -> None:
    assert importlib.util.find_spec("presidio_analyzer") is None
    with pytest.raises(Misconfigured, match=r"pip install 'authz-service\[presidio\]'"):
        with_presidio(build_scanner([]), [PresidioDetector("PERSON", "en", "none", 0.5)])
