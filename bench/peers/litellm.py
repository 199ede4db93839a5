"""LiteLLM's proxy, with its own regex filter on requests and answers, and without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.case import Gateway, Site
from bench.peers.environment import binaries
from bench.plan import Shape
from bench.processes import program

from authz_service.proxy.probes import free_port, gateway_answers

_KEY = "sk-bench"
_PATTERNS = ("email", "credit_card", "iban", "us_ssn")
"""Its names of the entity types that our masks have."""

_FILTER = """\
guardrails:
  - guardrail_name: masks
    litellm_params:
      guardrail: litellm_content_filter
      mode: [pre_call, post_call]
      default_on: true
      patterns:
{patterns}
"""


@contextmanager
def litellm(site: Site, *, is_filtering: bool) -> Iterator[Gateway]:
    """One worker, no database, no callbacks, logging errors only."""
    program_file = binaries("litellm") / "litellm"
    config = site.folder / "config.yaml"
    config.write_text(configuration(site.model_port, is_filtering=is_filtering))
    port = free_port()
    options = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    with program(
        (str(program_file), *options, "--telemetry", "False"),
        log=site.folder / "litellm.log",
        is_ready=lambda: gateway_answers("127.0.0.1", port, tls=False),
        environment={
            "PATH": f"{program_file.parent}:/usr/bin:/bin",
            "HOME": str(site.folder),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network at its start
            "LITELLM_LOG": "ERROR",
        },
        folder=site.folder,
    ) as running:
        yield Gateway(port, _KEY, {"model": site.model_pid, "service": running.pid})


def configuration(model_port: int, *, is_filtering: bool) -> str:
    """Its config.yaml, with a model of its own for each shape of answer."""
    url = f"http://127.0.0.1:{model_port}/v1"
    lines = ["model_list:"]
    for shape in Shape:
        upstream = f'{{model: "openai/{shape}", api_base: "{url}", api_key: none}}'
        lines.append(f"  - {{model_name: {shape}, litellm_params: {upstream}}}")
    if is_filtering:
        patterns = (
            f"        - {{pattern_type: prebuilt, pattern_name: {p}, action: MASK}}" for p in _PATTERNS
        )
        lines.append(_FILTER.format(patterns="\n".join(patterns)))
    return "\n".join([*lines, f"general_settings: {{master_key: {_KEY}}}", ""])
