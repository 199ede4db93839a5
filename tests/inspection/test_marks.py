"""Where in a body something was found, in the words of its own document."""

from __future__ import annotations

import json

from authz_service.inspection.marks import Mark, marks_in
from authz_service.inspection.reading import read_again
from authz_service.masking.detectors import build_scanner

SCANNER = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})


def test_every_finding_is_named_with_its_text_and_characters() -> None:
    body = {
        "model": "llama",
        "messages": [
            {"role": "system", "content": "nothing"},
            {"role": "user", "content": [{"type": "text", "text": "I am E-123456, not E-654321."}]},
        ],
    }
    read = read_again("openai_chat", "chat_completions", json.dumps(body).encode())
    assert read is not None
    found = marks_in(read.view, SCANNER)
    path = ("messages", 1, "content", 0, "text")
    assert [mark for mark in found if mark.entity == "EMPLOYEE_ID"] == [
        Mark(path, 5, 13, "EMPLOYEE_ID"),
        Mark(path, 19, 27, "EMPLOYEE_ID"),
    ]
