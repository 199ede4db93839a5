"""`record`: where checkpoints go, and everything that would send them astray is a fault with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.config.read import Loaded
from authz_service.config.record_values import Bucket, Checkpoints, Record, Syslog, Webhook

Faults = Callable[[str], list[tuple[int, int, str]]]

WHOLE = """\
record:
  origin: example.com/llm-gateway
  checkpoints:
    every: 1m
    to:
      - {webhook: "https://audit.example.com/kept", token: webhook.token}
      - {webhook: "http://127.0.0.1:9000/kept"}
      - {syslog: "udp://127.0.0.1"}
      - {syslog: "tcp://[::1]:6514"}
      - {syslog: "unix:/dev/log"}
      - {s3: my-bucket, prefix: authz/, region: eu-central-1, endpoint: "https://s3.example.com",
         retain: 400d}
"""


def test_every_receiver_is_read(load: Callable[[str], Loaded], smallest: str) -> None:
    assert load(smallest + WHOLE).config.record == Record(
        "example.com/llm-gateway",
        Checkpoints(
            60.0,
            (
                Webhook("https://audit.example.com/kept", Path("/etc/authz/webhook.token")),
                Webhook("http://127.0.0.1:9000/kept"),
                Syslog("udp", "127.0.0.1", 514),
                Syslog("tcp", "::1", 6514),
                Syslog("unix", "/dev/log", 0),
                Bucket("my-bucket", "authz/", "eu-central-1", "https://s3.example.com", 400 * 86_400.0),
            ),
        ),
    )


def test_without_the_section_checkpoints_stay_in_the_data_directory(
    load: Callable[[str], Loaded], smallest: str
) -> None:
    assert load(smallest).config.record == Record(None, Checkpoints(300.0, ()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("origin: https://example.com", "without a scheme"),
        ("origin: a+b", "without a scheme"),
        ("checkpoints: {every: 0s}", "must be from"),
        ("checkpoints: {every: 2d}", "must be from"),
        ("checkpoints: {to: [{}]}", "must have one of webhook, syslog, s3"),
        ("checkpoints: {to: [{webhook: 'https://a.example', s3: bucket}]}", "must have one of"),
        ("checkpoints: {to: [{webhook: 'http://a.example'}]}", "must be https"),
        ("checkpoints: {to: [{webhook: 'https://u:p@a.example'}]}", "without user and password"),
        ("checkpoints: {to: [{webhook: 'https://a.example', prefix: a}]}", "unknown key 'prefix'"),
        ("checkpoints: {to: [{syslog: 'https://a.example'}]}", "must be udp://"),
        ("checkpoints: {to: [{syslog: 'udp://a.example/path'}]}", "must be udp://"),
        ("checkpoints: {to: [{syslog: 'unix:log'}]}", "must be udp://"),
        ("checkpoints: {to: [{syslog: 'udp://a:99999'}]}", "must be udp://"),
        ("checkpoints: {to: [{s3: A_Bucket}]}", "must be a bucket's name"),
        ("checkpoints: {to: [{s3: bucket, retain: 1h}]}", "must be from"),
        ("checkpoints: {to: [{s3: bucket, prefix: 'a b'}]}", "must be a prefix"),
        ("checkpoints: {to: [{syslog: 'udp://a:1'}, {syslog: 'udp://a:1'}]}", "stands here twice"),
        ("checkpoints: {file: x}", "unknown key 'file'"),
        ("checkpoint: {}", "unknown key 'checkpoint'"),
    ],
)
def test_each_fault_is_named(faults: Faults, smallest: str, text: str, message: str) -> None:
    found = faults(f"{smallest}record:\n  {text}\n")
    assert any(line == 4 and message in words for line, _, words in found), found
