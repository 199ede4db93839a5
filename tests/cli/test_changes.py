"""What an edit changes is shown line by line, and none of it can pass for our own words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from authz_api.v1 import holds_pb2 as pb
from authz_cli.changes import change_lines
from authz_cli.hold_json import edit_object
from authz_cli.hold_text import hold_page

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def text(path: str, before: str, after: str) -> pb.Change:
    return pb.Change(path=path, before=pb.Value(text=before), after=pb.Value(text=after))


def test_lines_that_are_gone_and_lines_that_are_new_stand_below_their_place() -> None:
    change = text("/messages/0/content", "Buy\n100 boats\nnow", "Buy\n1 boat\nnow")
    assert list(change_lines([change], None)) == [
        "  ├ /messages/0/content:",
        "   │ Buy",
        "-  │ 100 boats",
        "+  │ 1 boat",
        "   │ now",
    ]


def test_lines_that_are_left_out_around_changes_and_between_them_are_counted() -> None:
    before = "\n".join(f"line {n}" for n in range(1, 41))
    after = before.replace("line 5\n", "... 9 lines as before\n").replace("line 36\n", "")
    assert list(change_lines([text("/x", before, after)], None)) == [
        "  ├ /x:",
        "  ├ ... 1 line as before",
        *(f"   │ line {n}" for n in (2, 3, 4)),
        "-  │ line 5",
        "+  │ ... 9 lines as before",
        *(f"   │ line {n}" for n in (6, 7, 8)),
        "  ├ ... 24 lines as before",
        *(f"   │ line {n}" for n in (33, 34, 35)),
        "-  │ line 36",
        *(f"   │ line {n}" for n in (37, 38, 39)),
        "  ├ ... 1 line as before",
    ]
    assert list(change_lines([text("/x", before, before)], None)) == ["  ├ /x:"]


def test_what_is_put_in_or_taken_out_is_shown_whatever_it_is() -> None:
    put_in = pb.Change(path="/tools", after=pb.Value(json='[{"name": "f"}]'))
    taken_out = pb.Change(path="/n", before=pb.Value(json="2"))
    assert list(change_lines([put_in, taken_out], None)) == [
        "  ├ /tools:",
        "+  │ -",
        '+  │   name: "f"',
        "  ├ /n:",
        "-  │ = 2",
    ]


@pytest.mark.parametrize(
    ("said", "other", "lines"),
    [
        ("null", "null", ['-  │ = "null"', "+  │ = null"]),
        ("= 5", "5", ['-  │ = "= 5"', "+  │ = 5"]),
        ('a: "1"', '{"a":"1"}', ['-  │ = "a: \\"1\\""', '+  │ a: "1"']),
        ("- 1\n- 2", "[1,2]", ["-  │ =", "-  │   | - 1", "-  │   | - 2", "+  │ - 1", "+  │ - 2"]),
    ],
)
def test_a_text_and_what_is_none_never_look_alike(said: str, other: str, lines: list[str]) -> None:
    change = pb.Change(path="/a", before=pb.Value(text=said), after=pb.Value(json=other))
    assert list(change_lines([change], None)) == ["  ├ /a:", *lines]


def test_numbers_and_the_order_of_members_are_shown_as_they_are_written() -> None:
    account = pb.Change(
        path="/n",
        before=pb.Value(json="123456789012345678901"),
        after=pb.Value(json="123456789012345678902"),
    )
    order = pb.Change(
        path="/o", before=pb.Value(json='{"to":1,"from":2}'), after=pb.Value(json='{"from":2,"to":1}')
    )
    assert list(change_lines([account, order], None)) == [
        "  ├ /n:",
        "-  │ = 123456789012345678901",
        "+  │ = 123456789012345678902",
        "  ├ /o:",
        "+  │ from: 2",
        "   │ to: 1",
        "-  │ from: 2",
    ]


def test_an_edit_cannot_deceive_a_terminal_or_look_like_ours() -> None:
    change = text(
        "/a\x1b[2J\nDigest: 0", "", "--- x\n+++ y\n@@ z\n\x1b[2Jb" + " " * 80 + "Digest:   sha256 0"
    )
    lines = list(change_lines([change], 60))
    assert all(line[1:].startswith(" ") and line[0] in " +-" for line in lines)
    assert all(any(sign in line for sign in ("│", "├")) for line in lines)
    assert any("--- x" in line for line in lines)
    assert any("@@ z" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_the_page_of_an_edited_hold_says_who_changed_what() -> None:
    hold = pb.Hold(id="hld_1", forward=b"{}", is_edited=True)
    hold.acts.add(id="act_1", kind=pb.ACT_KIND_EDIT, name="rita")
    edits = [
        pb.Edit(act="act_1", changes=[text("/prompt", "a", "b")]),
        pb.Edit(act="act_2", missing="it was purged"),
    ]
    page = list(hold_page(hold, now=NOW, width=None, edits=edits))
    at = page.index("What rita changed")
    assert page[at + 1 : at + 5] == [
        "  ├ /prompt:",
        "-  │ a",
        "+  │ b",
        "What a reviewer changed is not told: it was purged",
    ]
    changes = [{"path": "/prompt", "before": "a", "after": "b"}]
    assert edit_object(edits[0]) == {"act": "act_1", "changes": changes, "missing": None}
