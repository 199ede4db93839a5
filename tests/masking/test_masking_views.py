# ruff: noqa: RUF001 - characters that look like others are what this is about
"""Values that are written in other characters, or encoded, are found, and edited where they stand."""

from __future__ import annotations

import base64
import json
import string
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.masking.replacing import merge, replace
from tests.masking.values import ENTITIES, placed

from authz_service.errors import Unreadable
from authz_service.masking import alike
from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.offsets import OffsetMap
from authz_service.masking.seams import Scanner
from authz_service.masking.stream import MOST_HELD
from authz_service.masking.viewed import ViewedStream

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]
Cut = Callable[[str, list[int]], list[str]]

_ALL = build_scanner()


def _full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def _mathematical(text: str) -> str:
    bold = {
        **{chr(48 + n): chr(0x1D7CE + n) for n in range(10)},
        **{chr(97 + n): chr(0x1D41A + n) for n in range(26)},
    }
    return "".join(bold.get(char, char) for char in text)


def _cyrillic(text: str) -> str:
    return text.translate(str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ"))


def _arabic_digits(text: str) -> str:
    return "".join(chr(0x0660 + int(char)) if char in "0123456789" else char for char in text)


def _zero_width(text: str) -> str:
    return "\u200b".join(text)


def _soft_hyphens(text: str) -> str:
    return "".join(char + "\u00ad\ufe0f" * (n % 3 == 1) for n, char in enumerate(text))


def _percent(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if char.isascii() else char for char in text)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="éü")


def _encoded_in_lines(text: str) -> str:
    """What is not ASCII stays as it is: no such text is looked for in base64."""
    encoded = base64.b64encode(text.encode()).decode() if text.isascii() else text
    return "\r\n".join(encoded[at : at + 60] for at in range(0, len(encoded), 60))


def _keycaps(text: str) -> str:
    return "".join(char + "\ufe0f\u20e3" if char in "0123456789" else char for char in text)


def _struck(text: str) -> str:
    return "\u0336".join(text)


def _with_controls(text: str) -> str:
    return "\0".join(text[:9]) + "\x7f".join(text[9:])


def _in_discs(text: str) -> str:
    return "".join(chr(0x1F150 + ord(char) - 65) if "A" <= char <= "Z" else char for char in text)


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" if char.isascii() else char for char in text)


def _escaped_thrice(text: str) -> str:
    return "".join(f"\\\\\\\\u{ord(char):04X}" if char.isascii() else char for char in text)


def _in_markdown(text: str) -> str:
    return "".join(f"\\{char}" if char in string.punctuation and char != "\\" else char for char in text)


_WAYS = [
    *(_full_width, _mathematical, _cyrillic, _arabic_digits, _zero_width, _soft_hyphens, _percent, _quoted),
    *(_keycaps, _struck, _with_controls, _in_discs, _escaped, _escaped_thrice, _in_markdown),
]


def _masked(text: str) -> str:
    return replace(text, merge(_ALL.scan(text), _ALL.entities))


@pytest.mark.parametrize("hide", _WAYS)
def test_a_hidden_value_is_found_where_it_stands(hide: Callable[[str], str], run: Run) -> None:
    for entity in ENTITIES:
        for value in ENTITIES[entity][:1]:
            before, after = placed(entity, value)
            text = before + hide(value) + after
            if entity == "PRIVATE_KEY":
                continue
            whole = _ALL.scan(text)
            hidden = Finding(entity, len(before), len(text) - len(after))
            mine = [f for f in whole if f.entity == entity and f.start == hidden.start]
            assert mine, entity
            assert mine[0].end >= hidden.end - 2
            assert run(_ALL.incremental(), list(text))[0] == whole


@pytest.mark.parametrize(
    "entity", ["CREDIT_CARD", "EMAIL_ADDRESS", "AWS_ACCESS_KEY", "PRIVATE_KEY", "UK_NHS"]
)
@pytest.mark.parametrize("hide", _WAYS)
def test_hidden_values_are_found_when_split_anywhere(
    hide: Callable[[str], str], entity: str, run: Run
) -> None:
    value = ENTITIES[entity][0]
    before, after = placed(entity, value)
    text = before + hide(value) + after
    whole = _ALL.scan(text)
    assert entity in {finding.entity for finding in whole}
    for at in range(len(text) + 1):
        assert run(_ALL.incremental(), [text[:at], text[at:]])[0] == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u200b 4\u200b111\u00ad111111111111\u200b b", "a\u200b [CREDIT_CARD]\u200b b"),
        ("４１１１　１１１１　１１１１　１１１１。", "[CREDIT_CARD]。"),
        ("jane＠example．com", "[EMAIL_ADDRESS]"),
        ("jane%40example.com", "[EMAIL_ADDRESS]"),
        ("to=jane%2Edoe%40example%2Ecom&x=1", "to=[EMAIL_ADDRESS]&x=1"),
        ("%34%31%31%31%31%31%31%31%31%31%31%31%31%31%31%31", "[CREDIT_CARD]"),
        ("４%31１１%20１１１１ 1111 1111", "[CREDIT_CARD]"),
        ("100%４１１１ 1111 1111 1111", "100%[CREDIT_CARD]"),
        ("АКІА" + "IOSFODNN7EXAMPLE", "[AWS_ACCESS_KEY]"),
        ("ﬁona@example.com", "[EMAIL_ADDRESS]"),
        ("a 4111 1111 1111 ½", "a 4111 1111 1111 ½"),
        (r'{"to": "jane\u0040example.com", "n": 1}', r'{"to": "[EMAIL_ADDRESS]", "n": 1}'),
        (r'"{\"to\": \"jane\\u0040example.com\"}"', r'"{\"to\": \"[EMAIL_ADDRESS]\"}"'),
        (r"see https:\/\/me:password@example.org\/", r"see https:\/\/[URL_CREDENTIALS]\/"),
        (r"**john\_doe@example.com** or john\.doe\@example.com", "**[EMAIL_ADDRESS]** or [EMAIL_ADDRESS]"),
        (r"phone:\n(415) 555-2671\n", r"phone:\n[PHONE_NUMBER]\n"),
        ("4\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31111 1111 1111", "[CREDIT_CARD]"),
        ("jose\u0301@example.com", "[EMAIL_ADDRESS]"),
        ("ja\0ne@exam\x08ple.com", "[EMAIL_ADDRESS]"),
        ("➍➊➊➊ ➊➊➊➊ 1111 1111", "[CREDIT_CARD]"),
        ("ᴊᴀɴᴇ@ᴇxᴀᴍᴘʟᴇ.ᴄᴏᴍ", "[EMAIL_ADDRESS]"),
    ],
)
def test_edits_are_made_on_the_text_itself(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела? Сегодня 12 мая 2024 года; это стоит 1500 руб. Тел. нет.",
        "Καλημέρα, τι κάνεις; Σήμερα είναι 12 Μαΐου 2024.",
        "これはテスト（１２３）です。全角：ＡＢＣ、価格は１，０００円。",
        "👩‍👩‍👧‍👦 family, ❤️ heart, 🏴󠁧󠁢󠁥󠁮󠁧󠁿 flag, e\u0301 and ﬁne ½ cups…",
        "50% of 100%; 20%25 is %20 and %zz and %4",
        "http://example.org/a%20b?q=%E2%82%AC%2F",
        "\u200bzero\u200bwidth\u200c and \u2066isolates\u2069",
        r"C:\users\new\table, \alpha_{1} \cdot \frac{1}{2}, \d+\.\w*, \u12 \\\\\\\\\\\\ \ud83d\ude00 \ ",
        "Người ta ăn phở, e\u0301te\u0301, ä, Բարեւ ձեզ, 🇩🇪 and 🅱️, \x0c page\x1b[0m",
    ],
)
def test_clean_text_is_left_alone(text: str, run: Run) -> None:
    assert _ALL.scan(text) == ()
    for size in (1, 2, 3, 7):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert run(_ALL.incremental(), pieces)[0] == ()


@pytest.fixture(scope="session")
def hidden(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of which parts are written in other ways, and what stands between."""
    signs = ["\u200b", "½", "%", "%4", "％", "ﬁ", "é", "…", "\ufe0f", "👩‍👩", "%41", "。", " "]
    signs += ["\\", "\\u00", "\\u0041", "\\_", "\\" * 9, "\\n", "\u0301", "\0", "\U0001f1e6"]
    breaks = ["\n", "\r", "\r\n", "\n  ", "\n" + " " * 33, "QUFB" * 15, "x" * 59]
    odd = st.sampled_from(signs + breaks)
    ways = st.sampled_from([*_WAYS, _encoded_in_lines])
    part = st.one_of(texts, odd, st.builds(lambda text, way: way(text), texts, ways))
    return st.lists(part, max_size=4).map("".join)


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_gives_the_findings_of_the_whole_through_views(
    data: st.DataObject,
    hidden: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    run: Run,
    pieces: Cut,
) -> None:
    text = data.draw(hidden)
    assert run(everything.incremental(), pieces(text, data.draw(cuts)))[0] == everything.scan(text)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_client_receives_the_masking_of_the_whole_through_views(
    data: st.DataObject,
    hidden: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    released: Callable[..., list[str]],
    pieces: Cut,
) -> None:
    text = data.draw(hidden)
    masked = list(text)
    for finding in everything.scan(text):
        masked[finding.start : finding.end] = "*" * (finding.end - finding.start)
    assert "".join(released(everything.incremental(), pieces(text, data.draw(cuts)))) == "".join(masked)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_of_a_document_gives_the_findings_of_the_whole_through_views(
    data: st.DataObject,
    hidden: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    run: Run,
    pieces: Cut,
) -> None:
    text = json.dumps([data.draw(hidden), {"a": data.draw(hidden)}], ensure_ascii=data.draw(st.booleans()))
    found = run(everything.incremental(embedded_json=True), pieces(text, data.draw(cuts)))[0]
    assert found == everything.scan(text, embedded_json=True)


def test_what_is_folded_is_what_looks_alike() -> None:
    assert all(char not in "abcdefghijklmnopqrstuvwxyz0123456789@.-%" for char in alike.OTHER_LENGTH)
    for char, form in {
        **{chr(code): form for code, form in alike.SAME_LENGTH.items()},
        **alike.OTHER_LENGTH,
    }.items():
        assert form.isascii()
        assert alike.ANY.fullmatch(char)
    assert all(alike.ODD.fullmatch(char) for char in alike.OTHER_LENGTH)
    for char, form in {
        "４": "4",
        "а": "a",
        "Ο": "O",
        "①": "1",
        "ﬁ": "fi",
        "٣": "3",
        "−": "-",
        "\u2009": " ",
    }.items():
        assert (alike.SAME_LENGTH.get(ord(char)) or alike.OTHER_LENGTH.get(char)) == form
    assert not any(0x4E00 <= code < 0xA000 for code in alike.SAME_LENGTH)


def test_offsets_lead_back_to_the_text() -> None:
    offsets = OffsetMap()
    offsets.copied(2)  # ab
    offsets.replaced(1, 2)  # a ligature
    offsets.replaced(3, 0)  # nothing
    offsets.replaced(3, 1)  # %41
    offsets.copied(1)
    assert [offsets.start(at) for at in range(7)] == [0, 1, 2, 2, 6, 9, 10]
    assert [offsets.end(at) for at in range(1, 7)] == [1, 2, 3, 3, 9, 10]
    assert (offsets.length, offsets.source_length) == (6, 10)


def test_views_are_closed_when_they_show_nothing_else_any_more() -> None:
    stream = _ALL.incremental()
    assert isinstance(stream, ViewedStream)
    stream.feed("½ of %20 is ")
    assert len([s for s in stream._streams if s]) == 2
    stream.feed("plain text, and more of it, until what stood before is forgotten by all " * 2)
    assert stream._streams == [None] * 4
    step = stream.feed("jane%40example.com, ")
    assert [(finding.entity, finding.start) for finding in step.findings] == [("EMAIL_ADDRESS", 156)]


def test_a_run_of_what_is_not_seen_holds_back_no_more_than_may_be(run: Run) -> None:
    text = "4111 1111 1111 1111"
    long = text[:7] + "\u200b" * 5_000 + text[7:] + " "
    assert _ALL.scan(long) == (Finding("CREDIT_CARD", 0, len(long) - 1),)
    assert run(_ALL.incremental(), [long[at : at + 100] for at in range(0, len(long), 100)])[0] == _ALL.scan(
        long
    )
    stream = _ALL.incremental()
    with pytest.raises(Unreadable) as refused:
        stream.feed(text[:7] + "\u200b" * (MOST_HELD + 1))
    assert refused.value.code == "buffer_overflow"


def test_a_value_is_what_it_says_without_its_disguise() -> None:
    for text in ("jane@example.com", "jane%40example.com", "ｊａｎｅ@example.com", "ja\u200bne@example.com"):
        (finding,) = _ALL.scan(text)
        assert finding.value == "jane@example.com"
        assert "jane" not in repr(finding)


def test_a_large_text_with_views_is_searched_like_a_small_one() -> None:
    value, gap = "４111 1111 1111 1111", "Some prose, and more of it, with a number or 2. " * 500
    text = f"{value} {gap} ½ {gap} jane%40example.com {gap} {value}"
    assert [finding.entity for finding in _ALL.scan(text)] == ["CREDIT_CARD", "EMAIL_ADDRESS", "CREDIT_CARD"]
    assert _ALL.scan(text)[-1] == Finding("CREDIT_CARD", len(text) - len(value), len(text))


def test_a_large_text_that_stays_alive_is_no_overflow() -> None:
    text = "½ eyJ" + "a" * (2 * MOST_HELD) + " jane@example.com"
    assert [finding.value for finding in _ALL.scan(text)] == ["jane@example.com"]
