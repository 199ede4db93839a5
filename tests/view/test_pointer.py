"""Places are told as JSON pointers."""

from __future__ import annotations

from authz_service.view.pointer import pointer


def test_a_pointer_tells_keys_with_its_own_marks_apart() -> None:
    assert pointer(()) == ""
    assert pointer(("messages", 0, "a/b~c", "")) == "/messages/0/a~1b~0c/"
    assert len({pointer(path) for path in (("a/b",), ("a", "b"), ("a~1b",), ("a~01b",))}) == 4
