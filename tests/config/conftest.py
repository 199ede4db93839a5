"""Reading a file with everything that a real one may refer to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.cel.compiler import CelCompiler
from authz_service.config.faults import BadConfiguration
from authz_service.config.read import Loaded, Surroundings, read_config
from authz_service.masking.catalogue import check_options
from authz_service.masking.prefix import check_pattern

SMALLEST = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
"""


@pytest.fixture
def smallest() -> str:
    """The smallest file that is good; what a test appends begins at line 3."""
    return SMALLEST


@pytest.fixture(scope="session")
def surroundings() -> Surroundings:
    return Surroundings(
        compiler=CelCompiler,
        entities=frozenset(
            {"EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "PRIVATE_KEY", "AWS_ACCESS_KEY", "UK_NHS"}
        ),
        check_pattern=check_pattern,
        check_options=check_options,
        has_zone=lambda name: name == "Europe/Berlin",
        noise_roots=frozenset({"metadata"}),
        owned_paths=frozenset({"/v1/chat/completions"}),
    )


@pytest.fixture
def load(surroundings: Surroundings) -> Callable[[str], Loaded]:
    """A file that is good."""

    def read(text: str) -> Loaded:
        return read_config(text, source=Path("/etc/authz/authz.yaml"), surroundings=surroundings)

    return read


@pytest.fixture
def faults(surroundings: Surroundings) -> Callable[[str], list[tuple[int, int, str]]]:
    """All that is wrong with a file: line, column, message."""

    def read(text: str) -> list[tuple[int, int, str]]:
        with pytest.raises(BadConfiguration) as caught:
            read_config(text, source=Path("authz.yaml"), surroundings=surroundings)
        return [(fault.place.line, fault.place.column, fault.message) for fault in caught.value.faults]

    return read


@pytest.fixture
def refusal(surroundings: Surroundings) -> Callable[[str], BadConfiguration]:
    """The error that a faulty file raises."""

    def read(text: str) -> BadConfiguration:
        with pytest.raises(BadConfiguration) as caught:
            read_config(text, source=Path("authz.yaml"), surroundings=surroundings)
        return caught.value

    return read
