"""Which model server keeps a result: however its URL is spelled, and whichever of its models was asked."""

from __future__ import annotations

import pytest

from authz_service.core.kept import server_of


@pytest.mark.parametrize(
    "urls",
    [
        ("http://llama", "http://llama:80/", "HTTP://LLAMA.:80"),
        ("https://llama", "https://llama:443", "https://Llama/"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/", "https://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000/"),
    ],
)
def test_spellings_of_one_host_and_port_are_one_server(urls: tuple[str, ...]) -> None:
    assert len({server_of(url) for url in urls}) == 1


def test_other_hosts_and_ports_are_other_servers() -> None:
    urls = (
        "http://llama",
        "http://llama:8000",
        "https://llama",
        "http://qwen",
        "http://[::1]",
        "http://[::2]",
    )
    assert len({server_of(url) for url in urls}) == len(urls)
