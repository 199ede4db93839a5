"""Values are counted without being read, whatever the bytes are."""

from __future__ import annotations

import json

import pytest

from authz_service.framing.json_values import count_values


@pytest.mark.parametrize(
    ("body", "most", "count"),
    [
        (b'{"a": [1, 2]}', 9, 3),
        (b'{"a": [1, 2]}', 3, 3),
        (b'{"a": [1, 2]}', 2, 2),
        (json.dumps({"a": '", [ {' * 100, "b": [1, 2]}).encode(), 9, 4),
        (rb'{"a\\": "\"[[[[[", "b": "[[[[["}', 9, 2),
        (b"", 1, 0),
        (b'"[[[[ never closed', 3, 0),
    ],
)
def test_commas_and_brackets_count_outside_of_texts(body: bytes, most: int, count: int) -> None:
    assert count_values(body, most) == count


def test_what_is_no_json_is_counted_in_linear_time() -> None:
    # With a scan to the end from each quote this would take days.
    body = rb"[[[[" + rb'"\\' + rb"\"" * 2_000_000 + b"\\"
    assert count_values(body, 4) == 4
    assert count_values(body[4:] + b"[" * 9, 9) == 0
