"""Conditions see what is unread: kinds, types and sizes, each field by its checked name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from authz_service.cel.compiler import CelCompiler
from authz_service.policy.conditions import Answer, Phase, TextFault
from authz_service.policy.decision import RequestFacts
from authz_service.view.unread import Kind, Unread

PHOTO = Unread(Kind.IMAGE, ("a", 0), "a[0]", 1_500_000, "ab" * 32, type="image/png", declared="image/jpeg")
LINK = Unread(Kind.REFERENCE, ("b",), "b", 20, "cd" * 32, scheme="https")
SMALL_IMAGES = (
    "request.unread.all(u, u.kind == 'image' && u.type in ['image/png', 'image/jpeg'] && u.size < 2000000)"
)


def answer(compiler: CelCompiler, facts: RequestFacts, text: str, *unread: Unread) -> Answer:
    asked = replace(facts, request=replace(facts.request, unread=unread))
    return compiler.requests([compiler.check(Phase.REQUESTS, text)]).evaluate(asked)[0]


@pytest.mark.parametrize(
    ("text", "unread", "expected"),
    [
        (SMALL_IMAGES, (), True),
        (SMALL_IMAGES, (PHOTO,), True),
        (SMALL_IMAGES, (PHOTO, LINK), False),
        (SMALL_IMAGES, (replace(PHOTO, size=2_000_000),), False),
        (SMALL_IMAGES, (replace(PHOTO, type="image/gif"),), False),
        ("request.unread.exists(u, u.mismatch)", (PHOTO,), True),
        ("request.unread.exists(u, u.mismatch)", (LINK,), False),
        ("request.unread.exists(u, u.scheme == 'https' && u.path == 'b')", (PHOTO, LINK), True),
        ("size(request.unread) == 2 && request.unread[1].declared == ''", (PHOTO, LINK), True),
        ("request.unread.exists(u, u.sha256.startsWith('abab'))", (PHOTO,), True),
    ],
)
def test_rules_decide_over_kind_type_and_size(
    compiler: CelCompiler, facts: RequestFacts, text: str, unread: tuple[Unread, ...], expected: bool
) -> None:
    assert answer(compiler, facts, text, *unread) is expected


def test_a_misspelt_field_is_found_when_the_rule_is_loaded(
    faults: Callable[[str], list[TextFault]],
) -> None:
    assert "unknown field 'sise'" in faults("request.unread.all(u, u.sise < 5)")[0].message
