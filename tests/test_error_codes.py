"""Every code that a refusal may have is explained where whoever meets it looks, and no other is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authz_service.core.grants import GrantState
from authz_service.core.stored_holds import HoldState

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "authz_service"
PAGES = ("errors.md", "identity.md", "review-api.md")
ON_THE_SPOT = {
    *("bad_configuration", "bad_detectors", "bad_pattern", "misconfigured"),
    *("backup_failed", "export_incomplete", "store_in_use"),
}
"""Said by commands to whoever typed them, in words of their own."""
WITHIN = {"already_used", "begun_before", "conflict", "forbidden", "not_found"}
"""Never said to anybody, or the word of a class of errors whose every raise has a code of its own."""


def codes_in(tree: ast.Module, names: dict[str, str]) -> Iterator[str]:
    """What is said as a code: an argument or a default of that name, or first to `refuse`."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
            case ast.keyword(arg="code", value=ast.Name(id=name)) if name in names:
                yield names[name]
            case ast.Call(func=ast.Name(id="ApiError"), args=[_, ast.Constant(value=str(code)), *_]):
                yield code
            case ast.Call(func=ast.Attribute(attr="refuse"), args=[ast.Constant(value=str(code)), *_]):
                yield code
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                yield code
            case ast.Assign(targets=[ast.Name(id="_MESSAGES")], value=ast.Dict(keys=keys)):
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
            case ast.arguments(kwonlyargs=arguments, kw_defaults=defaults):
                for argument, default in zip(arguments, defaults, strict=True):
                    if argument.arg == "code" and isinstance(default, ast.Constant):
                        yield str(default.value)


def constants_in(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


@pytest.fixture(scope="module")
def said() -> set[str]:
    """The codes in the code."""
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py") if "_pb2" not in path.name]
    names = {name: text for tree in trees for name, text in constants_in(tree).items()}
    decided = {f"hold_{state.value}" for state in HoldState if state is not HoldState.PENDING}
    decided |= {f"grant_{state.value}" for state in GrantState if state is not GrantState.PROPOSED}
    envoys = re.findall(r"^ +code: ([a-z_]+)$", (ROOT / "envoy" / "envoy.yaml").read_text(), re.MULTILINE)
    return {code for tree in trees for code in codes_in(tree, names)} | decided | set(envoys)


def explained(page: str) -> set[str]:
    """The codes in the tables of a page: in its first two columns, as code."""
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("|")]
    words = (word for row in rows for cell in row for word in re.findall(r"`([a-z0-9_]+)`", cell))
    return {word for word in words if "_" in word or word in ("claimed", "kept", "poisoned", "restarted")}


def test_every_code_is_explained_on_a_page(said: set[str]) -> None:
    text = "".join((ROOT / "docs" / page).read_text() for page in PAGES)
    missing = {code for code in said - ON_THE_SPOT - WITHIN if f"`{code}`" not in text}
    assert not missing, " ".join(sorted(missing))


@pytest.mark.parametrize("page", ["errors.md", "review-api.md"])
def test_no_page_explains_a_code_that_nobody_says(page: str, said: set[str]) -> None:
    text = (ROOT / "docs" / page).read_text().partition("## When you can't wait")[0]
    text = text.partition("## Deciding")[0]
    assert explained(text) <= said, sorted(explained(text) - said)
