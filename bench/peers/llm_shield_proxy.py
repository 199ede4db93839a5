"""llm-shield-proxy, told to mask what the model says too, and one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.case import Gateway, Site
from bench.peers.environment import binaries
from bench.processes import program

from authz_service.proxy.probes import free_port, gateway_answers

_KEY = "sk-bench"
_SETTINGS = {
    "UPSTREAM_API_KEY": "none",
    "VALID_VIRTUAL_KEYS": _KEY,
    "SHIELD_DEFAULT_MASKING_MODE": "SCRUB",
    "ENABLE_RESPONSE_PII_REDACTION": "true",
    "ENABLE_AGENT_BREAKER": "false",  # the load asks the same again and again
    "ENABLE_EXT_PROC": "false",
    "ANONYMOUS_USAGE_TRACKING": "false",
}


@contextmanager
def llm_shield_proxy(site: Site) -> Iterator[Gateway]:
    """One worker, its audit records on its standard output, all else as it comes."""
    program_file = binaries("llm-shield-proxy") / "llm-shield-proxy"
    port = free_port()
    with program(
        (str(program_file), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        log=site.folder / "llm-shield-proxy.log",
        is_ready=lambda: gateway_answers("127.0.0.1", port, tls=False),
        environment={
            **_SETTINGS,
            "UPSTREAM_BASE_URL": f"http://127.0.0.1:{site.model_port}",
            "PATH": f"{program_file.parent}:/usr/bin:/bin",
            "HOME": str(site.folder),
        },
        folder=site.folder,
    ) as running:
        yield Gateway(port, _KEY, {"model": site.model_pid, "service": running.pid})
