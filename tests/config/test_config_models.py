"""Models in the configuration: their names, addresses and credentials."""

from __future__ import annotations

import pytest
from tests.config.config_texts import Faults


def test_no_name_or_alias_stands_for_two_models(faults: Faults) -> None:
    text = (
        "version: 1\nmodels:\n"
        "  - {name: a, aliases: [b], url: 'http://h'}\n"
        "  - {name: b, aliases: [a], url: 'http://h'}\n"
    )
    assert [(line, words.split(":")[0]) for line, _, words in faults(text)] == [
        (4, "models[1].name"),
        (4, "models[1].aliases"),
    ]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://h", "http:// or https://"),
        ("http://", "with a host"),
        ("http://h ost", "with a host"),
        ("http://bücher.example", "with a host"),
        ("http://h:99999", "valid host and port"),
        ("http://user:hunter2@h", "without user and password"),
        ("http://h/v1", "not supported yet"),
        ("http://h?x", "without query"),
    ],
)
def test_a_models_url_is_checked_and_its_password_not_repeated(
    faults: Faults, url: str, message: str
) -> None:
    ((_, _, words),) = faults(f"version: 1\nmodels: [{{name: a, url: '{url}'}}]")
    assert message in words
    assert "hunter2" not in words


@pytest.mark.parametrize("header", ["host", "Content-Length", "x-authz-model", "bad header", "x:y"])
def test_a_credential_cannot_take_a_header_that_is_the_gateways(faults: Faults, header: str) -> None:
    text = f"version: 1\nmodels: [{{name: a, url: 'http://h', credential: {{file: k, header: '{header}'}}}}]"
    assert len(faults(text)) == 1


def test_a_prefix_cannot_smuggle_a_header(faults: Faults) -> None:
    text = 'version: 1\nmodels: [{name: a, url: "http://h", credential: {file: k, prefix: "a\\r\\nb: c"}}]'
    assert "printed" in faults(text)[0][2]
