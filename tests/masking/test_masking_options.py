"""Thresholds, context words and allowed values hold for whole texts and for streams in any cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.errors import Misconfigured
from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.options import Options
from authz_service.masking.seams import Scanner

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]


def _found(scanner: Scanner, text: str) -> list[str]:
    return [text[finding.start : finding.end] for finding in scanner.scan(text)]


def _with(entity: str, **options: object) -> Scanner:
    return build_scanner([entity], options={entity: Options(**options)})  # type: ignore[arg-type]  # by name


def test_a_higher_threshold_leaves_out_what_is_less_sure() -> None:
    text = "+44 20 7946 0958; phone 020 7946 0958"
    assert _found(build_scanner(["PHONE_NUMBER"]), text) == ["+44 20 7946 0958", "020 7946 0958"]
    assert _found(_with("PHONE_NUMBER", threshold=0.7), text) == ["+44 20 7946 0958"]


def test_a_lower_threshold_needs_no_context() -> None:
    assert _found(build_scanner(["UK_NHS"]), "943 476 5919") == []
    assert _found(_with("UK_NHS", threshold=0.4), "943 476 5919") == ["943 476 5919"]


def test_a_threshold_that_context_alone_reaches_asks_for_context() -> None:
    scanner = _with("PHONE_NUMBER", threshold=0.9)
    assert _found(scanner, "+44 20 7946 0958 is my phone, phone +44 20 7946 0959") == ["+44 20 7946 0959"]


@pytest.mark.parametrize(
    ("before", "counts"),
    [
        ("employee ", True),
        ("EMPLOYEE: ", True),
        ("Mitarbeiter-Nr. ", True),
        ("employees ", False),
        ("xemployee ", False),
        ("éemployee ", False),
        ("employee" + "." * 12, True),
        ("employee" + "." * 13, False),
        ("é" * 30 + "employee" + "é ", False),
        ("employee" + "-é" * 6, True),
        ("employee" + "-é" * 6 + "-", False),
        ("x" * 30 + "employee" + "." * 12, False),
        ("x" * 30 + " employee" + "." * 12, True),
    ],
)
def test_a_required_word_stands_whole_within_reach_before_the_value(
    before: str, counts: bool, run: Run
) -> None:
    options = {"ID": Options(context=("employee", "mitarbeiter-nr"), within=20)}
    scanner = build_scanner([], [("ID", r"E-\d{6}")], options)
    text = before + "E-123456 employee"
    assert (_found(scanner, text) == ["E-123456"]) == counts
    for at in range(len(text) + 1):
        assert run(scanner.incremental(), [text[:at], text[at:]])[0] == scanner.scan(text)
    assert run(scanner.incremental(), list(text))[0] == scanner.scan(text)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_cut_gives_the_findings_of_the_whole_with_options(
    data: st.DataObject, cuts: st.SearchStrategy[list[int]], pieces: Callable[..., list[str]], run: Run
) -> None:
    scanner = build_scanner(
        ["US_SSN", "UK_NHS", "EMAIL_ADDRESS"],
        [("ID", r"E-\d{6}")],
        {
            "US_SSN": Options(context=("ssn",), within=9),
            "UK_NHS": Options(context=("nhs", "health"), within=33),
            "EMAIL_ADDRESS": Options(allow=("info@example.com",), allow_patterns=(r".*@example\.org",)),
            "ID": Options(context=("é id",), within=5),
        },
    )
    parts = [
        "ssn", "nhs", " health", "é id", "536-22-8726", "943 476 5919", "E-123456", "info@example.com",
        "jane@example.com", "bob@example.org", "\u00e9", " ", ".", "-", "1", "😀" * 5, "x" * 9, " " * 20,
    ]  # fmt: skip
    text = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=14)))
    assert run(scanner.incremental(), pieces(text, data.draw(cuts)))[0] == scanner.scan(text)


def test_a_stream_that_forgets_what_stood_before_is_noticed(run: Run) -> None:
    scanner = build_scanner([], [("ID", r"E-\d{6}")], {"ID": Options(context=("employee",), within=20)})
    scanner.lookback = 2  # type: ignore[attr-defined]  # less than its detector needs
    text = "employee . . . E-123456"
    assert run(scanner.incremental(), list(text))[0] != scanner.scan(text)


def test_allowed_values_are_no_findings() -> None:
    scanner = _with("EMAIL_ADDRESS", allow=("info@example.com",), allow_patterns=(r".*@example\.org", "a|b"))
    text = "info@example.com INFO@example.com xinfo@example.com bob@example.org bob@example.org.uk"
    assert _found(scanner, text) == ["INFO@example.com", "xinfo@example.com", "bob@example.org.uk"]


def test_allowed_numbers_are_no_findings() -> None:
    scanner = _with("CREDIT_CARD", allow=("4111 1111 1111 1111",))
    assert _found(scanner, "4111 1111 1111 1111, 4111111111111111") == ["4111111111111111"]
    scanner = _with("UK_NHS", allow=("943 476 5919",))
    assert _found(scanner, "NHS 943 476 5919, 9434765919") == ["9434765919"]


def test_options_that_leave_nothing_to_be_found_are_refused() -> None:
    for entity, options in {"US_SSN": Options(threshold=0.99), "PRIVATE_KEY": Options(allow=("a",))}.items():
        with pytest.raises(Misconfigured) as refused:
            build_scanner([entity], options={entity: options})
        assert entity in str(refused.value)
