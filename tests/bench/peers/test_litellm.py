"""LiteLLM is configured for every model of the bench, and filters what this service masks."""

from __future__ import annotations

from bench.peers.litellm import configuration
from bench.plan import Shape
from ruamel.yaml import YAML


def test_it_serves_every_model_from_the_same_model_server() -> None:
    found = YAML(typ="safe").load(configuration(8000, is_filtering=False))
    assert [model["model_name"] for model in found["model_list"]] == list(Shape)
    assert {m["litellm_params"]["api_base"] for m in found["model_list"]} == {"http://127.0.0.1:8000/v1"}
    assert "guardrails" not in found


def test_its_filter_looks_both_ways_and_is_on_for_every_request() -> None:
    (guardrail,) = YAML(typ="safe").load(configuration(8000, is_filtering=True))["guardrails"]
    settings = guardrail["litellm_params"]
    assert settings["mode"] == ["pre_call", "post_call"]
    assert settings["default_on"] is True
    assert {pattern["action"] for pattern in settings["patterns"]} == {"MASK"}
    assert [p["pattern_name"] for p in settings["patterns"]] == ["email", "credit_card", "iban", "us_ssn"]
