"""The table of providers in docs/identity.md says "run" only of what a test runs with that provider."""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN_BY = {
    "client credentials": "test_a_service_is_served_by_its_client_credentials",
    "code with PKCE": "test_a_person_is_served_by_the_code_flow",
    "device": "test_a_person_is_served_by_the_device_flow",
    "keys, discovery": "test_keys_change_and_no_request_is_refused",
    "groups": "test_whoever_is_in_no_group_that_may_is_denied",
    "service accounts, scope": "test_a_service_whose_scope_has_nothing_of_ours_gets_nothing",
}
ELSEWHERE = ("Keycloak", "Okta", "Entra ID", "Google")


def table() -> dict[str, dict[str, str]]:
    """The cells by provider and flow."""
    text = (ROOT / "docs" / "identity.md").read_text()
    lines = text.partition("\n## Providers\n")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads, _, *rest = rows[: next(n for n, row in enumerate(rows) if row[0] == "the embedded issuer") + 1]
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rest}


def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / "oidc" / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_flow_that_was_run_with_a_real_provider_has_its_test() -> None:
    pinned = json.loads((ROOT / "tests" / "oidc" / "provider" / "package.json").read_text())
    version = pinned["dependencies"]["oidc-provider"]
    row = table()[f"oidc-provider {version} (npm)"]
    assert list(row) == list(RUN_BY)
    assert all(cell.startswith("run") for cell in row.values())
    assert set(RUN_BY.values()) <= functions_in("test_oidc_provider.py")


def test_of_no_other_provider_the_table_says_that_it_was_run() -> None:
    rows = table()
    assert len(rows) == len(ELSEWHERE) + 2
    for provider in ELSEWHERE:
        assert all(cell.startswith("documentation") for cell in rows[provider].values()), provider
