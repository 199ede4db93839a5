"""Header values are judged by the detectors of the moment, and remembered only as far as that is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from authz_service.servers.crossing import LONGEST_REMEMBERED, MOST_REMEMBERED, Crossing

ALLOWED = frozenset({"accept", "content-type", "user-agent"})


class Words:
    """A scanner that finds one word, and counts how often it is asked."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked = 0

    def scan(self, text: str) -> Sequence[str]:
        self.asked += 1
        return [self.word] if self.word in text else []


def cross(crossing: Crossing, scanner: Words, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return crossing.of(named, ALLOWED, cast(Any, scanner))


def test_what_is_not_on_the_list_cannot_be_read_or_has_a_finding_stays_behind() -> None:
    headers = {"accept": "a secret", "user_agent": "sdk/1", "cookie": "x"}
    crossing, scanner = Crossing(), Words("secret")
    for _ in range(2):
        assert cross(crossing, scanner, **headers) == {"user-agent": "sdk/1"}
        assert cross(crossing, scanner, user_agent="sdk/\ufffd") == {}


def test_the_boundary_of_a_form_is_no_text_and_all_else_of_its_type_is() -> None:
    crossing, scanner = Crossing(), Words("secret")
    for boundary in ("secret", '"secret"'):
        form = {"content_type": f"multipart/form-data; boundary={boundary}"}
        assert list(cross(crossing, scanner, **form)) == ["content-type"]
    for other in (
        "multipart/form-data; boundary=a; charset=secret",
        "multipart/secret; boundary=a",
        "multipart/form-data; boundary=a secret",
        "text/plain; boundary=secret",
    ):
        assert cross(crossing, scanner, content_type=other) == {}
    assert cross(crossing, scanner, accept="multipart/form-data; boundary=secret") == {}


def test_a_value_is_judged_once_under_any_name_until_the_detectors_change() -> None:
    crossing, first, second = Crossing(), Words("secret"), Words("sdk")
    for _ in range(3):
        assert cross(crossing, first, accept="sdk/1") == {"accept": "sdk/1"}
        assert cross(crossing, first, user_agent="sdk/1") == {"user-agent": "sdk/1"}
    assert first.asked == 1
    assert cross(crossing, second, accept="sdk/1") == {}
    assert cross(crossing, first, accept="sdk/1") == {"accept": "sdk/1"}


def test_long_values_and_all_values_of_many_are_not_kept() -> None:
    crossing, scanner = Crossing(), Words("secret")
    for _ in range(2):
        cross(crossing, scanner, accept="a" * (LONGEST_REMEMBERED + 1))
    assert scanner.asked == 2
    for number in range(MOST_REMEMBERED + 1):
        cross(crossing, scanner, accept=str(number))
    asked = scanner.asked
    assert cross(crossing, scanner, accept="0") == {"accept": "0"}
    assert scanner.asked == asked + 1
