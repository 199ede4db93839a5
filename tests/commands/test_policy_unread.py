"""Cases may carry what is no text, whole or told by kind, type and size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from authz_service.commands.policy import command

RULES = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
requests:
  rules:
    - name: photos
      when: request.unread.all(u, u.type in ['image/png', 'image/jpeg'] && u.size < 2000000)
      effect: allow
      permits: [image]
    - {name: staff, when: "'staff' in caller.groups", effect: allow}
"""


def ran(folder: Path, case: str) -> dict[str, Any]:
    (folder / "authz.yaml").write_text(RULES)
    (folder / "cases.yaml").write_text(f"cases:\n  - {{name: c, caller: {{groups: [staff]}}, {case}}}\n")
    files = [str(folder / "authz.yaml"), str(folder / "cases.yaml")]
    done = CliRunner().invoke(command, ["test", *files, "--json"])
    if done.exit_code > 1:
        return {"error": done.output}
    found: dict[str, Any] = json.loads(done.stdout)["cases"][0]
    return found


@pytest.mark.parametrize(
    ("unread", "effect"),
    [
        ("{kind: image, type: image/png, size: 1MiB}", "allow"),
        ("{kind: image, type: image/png, size: 3MiB}", "refused"),
        ("{kind: image, type: image/gif}", "refused"),
        ("{kind: image}", "refused"),
        ("{kind: image, type: image/png}, {kind: reference, scheme: https}", "refused"),
        ("{kind: file, type: image/png}", "refused"),
    ],
)
def test_a_case_says_what_it_carries_by_kind_type_and_size(tmp_path: Path, unread: str, effect: str) -> None:
    result = ran(tmp_path, f"unread: [{unread}], expect: {{effect: {effect}}}")
    assert (result["effect"], result["ok"]) == (effect, True), result


def test_a_whole_request_may_carry_it_too(tmp_path: Path) -> None:
    image = "{type: image_url, image_url: {url: 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA'}}"
    said = f"request: {{messages: [{{role: user, content: [{image}]}}]}}"
    assert ran(tmp_path, f"{said}, expect: {{effect: allow, rule: photos}}")["ok"]


@pytest.mark.parametrize("unread", ["{kind: images}", "{size: 5}", "{kind: image, siz: 5}", "image"])
def test_what_a_case_misnames_is_a_fault(tmp_path: Path, unread: str) -> None:
    assert "unread" in ran(tmp_path, f"unread: [{unread}], expect: {{effect: allow}}")["error"]
