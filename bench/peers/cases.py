"""The cases of others: gateways for language models that are published as Python packages."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.aims import LITELLM
from bench.case import Case, Kind
from bench.peers.environment import version
from bench.peers.litellm import litellm
from bench.peers.llm_shield_proxy import llm_shield_proxy

_LITELLM: Final = f"LiteLLM {version('litellm')}"
_SHIELD: Final = f"llm-shield-proxy {version('llm-shield-proxy')}"

PEERS: Final = (
    Case(
        name="litellm",
        title=_LITELLM,
        about="its proxy with one worker, without a database; it masks nothing and records nothing.",
        kind=Kind.PEER,
        start=partial(litellm, is_filtering=False),
    ),
    Case(
        name=LITELLM,
        title=f"{_LITELLM}, regex filter",
        about="the same with its built-in content filter on requests and answers, for the entity types that "
        "this service masks here; it records nothing.",
        kind=Kind.PEER,
        start=partial(litellm, is_filtering=True),
        is_masked=True,
    ),
    Case(
        name="llm-shield-proxy",
        title=_SHIELD,
        about="one worker, masking requests and answers for good; it writes a line for each request to a "
        "log, and waits for no disk.",
        kind=Kind.PEER,
        start=llm_shield_proxy,
        is_masked=True,
    ),
)
