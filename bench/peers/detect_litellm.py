"""Run by LiteLLM's own Python: how fast its content filter masks a text, in MB of it for a second of CPU.

`python detect_litellm.py FILE SECONDS`; prints the figure.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from pathlib import Path

_PATTERNS = (
    "us_ssn", "email", "us_phone", "visa", "mastercard", "amex", "discover", "credit_card", "aws_access_key",
    "aws_secret_key", "github_token", "slack_token", "generic_api_key", "ipv4", "ipv6", "url", "passport_us",
    "passport_uk", "passport_germany", "br_cpf", "br_cnpj", "au_tfn", "au_abn", "au_medicare", "iban",
    "fr_nir", "fr_phone", "sg_nric", "sg_phone", "ca_sin",
)  # fmt: skip
"""Thirty of its entity types, those that are nearest to ours."""


def main() -> None:
    text, seconds = Path(sys.argv[1]).read_text(), float(sys.argv[2])
    logging.disable(logging.ERROR)
    place = "litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter.content_filter"
    guardrails = importlib.import_module("litellm.types.guardrails")
    mask = guardrails.ContentFilterAction.MASK
    patterns = [
        guardrails.ContentFilterPattern(pattern_type="prebuilt", pattern_name=name, action=mask)
        for name in _PATTERNS
    ]
    found = importlib.import_module(place).ContentFilterGuardrail(guardrail_name="bench", patterns=patterns)
    assert "jane@example.com" not in found._filter_single_text("It is jane@example.com.")
    began = time.process_time()
    calls = 0
    while not calls or time.process_time() - began < seconds:
        found._filter_single_text(text)
        calls += 1
    print(calls * len(text) / 1e6 / (time.process_time() - began))


main()
