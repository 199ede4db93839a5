"""A configuration is read with what this program has: its adapters own their paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_service.cel.load import load_config
from authz_service.config.faults import BadConfiguration

CONFIG = """\
version: 1
listen: {{address: "127.0.0.1:10000"}}
models: [{{name: llama, url: "http://127.0.0.1:8000"}}]
identity: {{embedded: true}}
review: {{audience: authz-review, reviewers: "true", auditors: "true"}}
requests: {{default: allow}}
paths: [{{method: POST, path: "{path}", when: "true"}}]
"""


@pytest.mark.parametrize(
    "path", ["/v1/models", "/V1/chat/completions", "/v2/models/llama/infer", "/v2/Models/any/infer/"]
)
def test_what_an_adapter_reads_cannot_be_listed_to_pass_unread(tmp_path: Path, path: str) -> None:
    file = tmp_path / "authz.yaml"
    file.write_text(CONFIG.format(path=path))
    with pytest.raises(BadConfiguration) as refused:
        load_config(file)
    assert [fault.place.line for fault in refused.value.faults] == [7]


def test_another_path_can(tmp_path: Path) -> None:
    file = tmp_path / "authz.yaml"
    file.write_text(CONFIG.format(path="/v2/models/llama"))
    assert [listed.path for listed in load_config(file).config.paths] == ["/v2/models/llama"]
