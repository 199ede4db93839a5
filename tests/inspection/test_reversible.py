"""Requests whose values get placeholders: stable, the same for the same value, and never a caller's own."""

from __future__ import annotations

import json
import re
from typing import Any, SupportsIndex, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.inspection.reversible import Reversing
from authz_service.inspection.spans import Span
from authz_service.masking.detectors import build_scanner
from authz_service.masking.operators import Masks, by_type, drop
from authz_service.masking.placeholders import EVERYWHERE, Place
from authz_service.model_apis.anthropic import Anthropic
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.view.request import Role, TextField

SCANNER = build_scanner()
MASKS = Masks(
    {"EMAIL_ADDRESS": by_type, "CREDIT_CARD": by_type, "PRIVATE_KEY": by_type, "GITHUB_TOKEN": drop},
    {"EMAIL_ADDRESS": frozenset([Place.TEXT]), "CREDIT_CARD": EVERYWHERE, "PRIVATE_KEY": EVERYWHERE},
)
PEM = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq"\\\n-----END PRIVATE KEY-----'
SCRAPS = ["jane@example.com", "bob@example.org", "4111 1111 1111 1111", "4111111111111111", PEM, "hello"]
SCRAPS += ["<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_", "1>", "<PLACEHOLDER_1>", "<CREDIT_CARD_2>", "<", ">", '"']
SCRAPS += [
    "\\u003cEMAIL_ADDRESS_1\\u003e",
    "<EMAIL\\_ADDRESS\\_1>",
    "\\<EMAIL_ADDRESS_1>",
    "C:\\jane@example.com",
]
SCRAPS += ["jane%40example.com", "ja\u200bne@example.com", "<US_SSN_1>", "\\", "é😀"]
sentences = st.lists(st.sampled_from(SCRAPS), max_size=6).map(" ".join)


def inspect(body: dict[str, Any], noise: tuple[tuple[str, ...], ...] = ()) -> RequestInspection:
    return inspect_request(
        json.dumps({"model": "llama", **body}).encode(), api=OpenAiChat(), operation=CHAT_COMPLETIONS,
        scanner=SCANNER, masked_entities=MASKS, models={"llama": "llama"}, noise=noise, max_depth=16,
    )  # fmt: skip


def user(*texts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts]}


def said(inspection: RequestInspection) -> list[Any]:
    return [message["content"] for message in json.loads(inspection.forward)["messages"]]


def restored(text: str, inspection: RequestInspection) -> str:
    known = inspection.placeholders.by_name if inspection.placeholders else {}
    return re.sub(r"<[A-Z_]+_[0-9]+>", lambda m: known[m[0]].value if m[0] in known else m[0], text)


@settings(deadline=None)
@given(st.lists(sentences, min_size=1, max_size=4))
def test_restoring_what_the_model_sees_gives_back_what_was_written(texts: list[str]) -> None:
    inspection = inspect(user(*texts))
    seen = said(inspection)
    assert [restored(text, inspection) for text in seen] == texts
    names = {
        name for text in seen for name in re.findall(r"<(?:EMAIL_ADDRESS|CREDIT_CARD|PLACEHOLDER)_\d+>", text)
    }
    assert names <= set(inspection.placeholders.by_name if inspection.placeholders else ())
    assert not re.search(r"@example|1111|BEGIN", " ".join(seen))


@settings(deadline=None)
@given(st.lists(sentences, min_size=1, max_size=4))
def test_arguments_keep_their_json_and_have_the_placeholders_that_texts_have(texts: list[str]) -> None:
    arguments = json.dumps({"all": texts})
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = user(*texts)
    body["messages"].append({"role": "assistant", "content": None, "tool_calls": [call]})
    inspection = inspect(body)
    seen = json.loads(inspection.forward)["messages"]
    told = json.loads(seen[-1]["tool_calls"][0]["function"]["arguments"])
    assert told == {"all": [message["content"] for message in seen[:-1]]}


@settings(deadline=None)
@given(st.lists(sentences, min_size=1, max_size=3), st.lists(sentences, max_size=3), sentences)
def test_the_turns_before_look_the_same_when_more_turns_come(
    before: list[str], after: list[str], system: str
) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": system}}]
    first = inspect({**user(*before), "tools": tools})
    later = inspect({**user(*before, *after), "tools": tools})
    assert said(later)[: len(before)] == said(first)
    assert json.loads(later.forward)["tools"] == json.loads(first.forward)["tools"]


def test_values_are_numbered_as_they_appear_each_type_for_itself() -> None:
    inspection = inspect(
        user(
            "jane@example.com and bob@example.org pay 4111 1111 1111 1111",
            "jane@example.com",
            "JANE@example.com",
        )
    )
    first = "<EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2> pay <CREDIT_CARD_1>"
    assert said(inspection) == [first, "<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_3>"]
    assert inspection.masked == inspection.findings == {"EMAIL_ADDRESS": 4, "CREDIT_CARD": 1}


def test_what_looks_like_a_placeholder_is_no_finding_and_no_mask() -> None:
    inspection = inspect(user("<EMAIL_ADDRESS_1> <US_SSN_1> <EMAIL_ADDRESS_1>"))
    assert said(inspection) == ["<PLACEHOLDER_1> <US_SSN_1> <PLACEHOLDER_1>"]
    assert (inspection.findings, inspection.masked) == ({}, {})
    assert (
        inspection.redacted
        == json.dumps({"model": "llama", **user("<EMAIL_ADDRESS_1> <US_SSN_1> <EMAIL_ADDRESS_1>")}).encode()
    )


def test_a_request_without_values_keeps_its_bytes_and_has_no_map() -> None:
    body = user("no <b>value</b> here, 1 < 2 > 1")
    inspection = inspect(body)
    assert inspection.forward == json.dumps({"model": "llama", **body}).encode()
    assert inspection.placeholders is None


def test_a_value_in_two_parts_is_one_value() -> None:
    parts = [{"type": "text", "text": text} for text in ("to jane@example.co", "m, or bob@exa", "mple.org")]
    inspection = inspect(user(parts, "jane@example.com"))
    assert [part["text"] for part in said(inspection)[0]] == [
        "to <EMAIL_ADDRESS_1>",
        ", or <EMAIL_ADDRESS_2>",
        "",
    ]
    assert said(inspection)[1] == "<EMAIL_ADDRESS_1>"
    values = [r.value for r in inspection.placeholders.by_name.values()] if inspection.placeholders else []
    assert values == ["jane@example.com", "bob@example.org"]


def test_a_placeholder_in_two_parts_is_a_typed_one() -> None:
    parts = [{"type": "text", "text": text} for text in ("<EMAIL_ADD", "RESS_1>")]
    inspection = inspect(user("jane@example.com", parts))
    assert [part["text"] for part in said(inspection)[1]] == ["<PLACEHOLDER_1>", ""]
    assert restored("<PLACEHOLDER_1>", inspection) == "<EMAIL_ADDRESS_1>"


@pytest.mark.parametrize(
    "typed",
    [
        r"\u003cEMAIL_ADDRESS_1\u003e",
        r"\\u003cEMAIL_ADDRESS_1>",
        r"<EMAIL\_ADDRESS\_1>",
        r"\<EMAIL_ADDRESS_1>",
    ],
)
def test_a_placeholder_that_is_typed_through_escapes_is_a_typed_one(typed: str) -> None:
    text = f'jane@example.com {{"link": "https://x.example/?{typed}"}}'
    inspection = inspect(user(text))
    assert said(inspection) == ['<EMAIL_ADDRESS_1> {"link": "https://x.example/?<PLACEHOLDER_1>"}']
    assert restored(said(inspection)[0], inspection) == text


def test_a_backslash_before_a_value_makes_no_typed_placeholder_of_its_own() -> None:
    assert said(inspect(user(r"C:\jane@example.com"))) == [r"C:\<EMAIL_ADDRESS_1>"]


def test_a_text_that_a_dropped_value_would_make_a_placeholder_is_refused() -> None:
    token = "ghp_" + "a1B2" * 9
    assert said(inspect(user(f"<EMAIL_ADDRESS_1 {token}>"))) == ["<EMAIL_ADDRESS_1 >"]
    with pytest.raises(Unreadable, match="would read as a placeholder") as refused:
        inspect(user(f"<EMAIL_ADDRESS_1{token}>"))
    assert refused.value.code == "unmaskable"


def test_parts_that_a_dropped_value_would_make_a_placeholder_are_refused() -> None:
    def asked(*texts: str) -> RequestInspection:
        return inspect(user("jane@example.com", [{"type": "text", "text": text} for text in texts]))

    token = "ghp_" + "a1B2" * 9
    for parts in (("<EMAIL_ADDRESS_1", token, ">"), ("x <PLACEHOLDER_12", "", token, "> y")):
        with pytest.raises(Unreadable, match="would read as a placeholder") as refused:
            asked(*parts)
        assert refused.value.code == "unmaskable"
    for others in (("<EMAIL_ADDRESS_1 ", token, ">"), ("C:\\", "jane@example.com")):
        assert asked(*others).placeholders


def test_a_placeholder_as_the_name_of_a_field_is_refused() -> None:
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"properties": {"<CREDIT_CARD_1>": {}}}}}
    ]
    with pytest.raises(Unreadable) as refused:
        inspect({**user("hi"), "tools": tools})
    assert refused.value.code == "unmaskable"


def test_noise_has_no_placeholders_so_that_a_retry_has_the_same_ones() -> None:
    def asked(nonce: str) -> RequestInspection:
        return inspect({"metadata": {"nonce": nonce}, **user("bob@example.org")}, (("metadata", "nonce"),))

    first, second = asked("jane@example.com <EMAIL_ADDRESS_1>"), asked("x")
    assert json.loads(first.forward)["metadata"] == {"nonce": "[EMAIL_ADDRESS] [PLACEHOLDER]"}
    assert said(first) == said(second) == ["<EMAIL_ADDRESS_1>"]
    assert (first.fingerprint, first.changes) == (second.fingerprint, second.changes)
    assert first.placeholders
    assert second.placeholders
    assert first.placeholders.by_name == second.placeholders.by_name


def test_what_surrounds_the_conversation_is_numbered_first_wherever_it_stands() -> None:
    body = {
        "max_tokens": 9,
        "messages": user("bob@example.org")["messages"],
        "system": "I am jane@example.com",
    }
    api = Anthropic()
    inspection = inspect_request(
        json.dumps({"model": "llama", **body}).encode(), api=api, operation=api.operations[0],
        scanner=SCANNER, masked_entities=MASKS, models={"llama": "llama"}, noise=(), max_depth=16,
    )  # fmt: skip
    forward = json.loads(inspection.forward)
    assert (forward["system"], said(inspection)) == ("I am <EMAIL_ADDRESS_1>", ["<EMAIL_ADDRESS_2>"])


def test_no_value_shows_in_what_is_printed_of_an_inspection() -> None:
    inspection = inspect({**user("jane@example.com")})
    assert "jane" not in repr(inspection.placeholders)


class Counting(list[Span]):
    """Counts how many of its items are handed out, in slices too."""

    taken = 0

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        self.taken += len(cast(list[Span], found)) if isinstance(at, slice) else 1
        return found


def test_many_values_in_a_text_are_not_each_looked_for_among_all_others() -> None:
    text = "a@b.cc " * 2000
    spans = Counting(Span(7 * i, 7 * i + 6, "EMAIL_ADDRESS", "[EMAIL_ADDRESS]") for i in range(2000))
    field = TextField(("messages", 0, "content"), text, Role.USER)
    Reversing(MASKS, SCANNER, lambda path: False).masked(field, spans, {})
    assert spans.taken < 10 * len(spans)
