"""A slow reader of JSON, written from RFC 8259 alone, that the fast one is held against."""

from __future__ import annotations

from collections.abc import Callable

import pytest


class Refused(Exception):
    """The reference does not take this document."""


class Reference:
    """Recursive descent over characters; numbers stay as their tokens, wrapped to be told from strings."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.text = text + "\0"
        self.at = 0
        self.max_depth = max_depth

    def document(self) -> object:
        value = self.value(0)
        self.space()
        if self.at != len(self.text) - 1:
            raise Refused
        return value

    def space(self) -> None:
        while self.text[self.at] in " \t\r\n":
            self.at += 1

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise Refused
        self.at += len(expected)

    def value(self, depth: int) -> object:
        self.space()
        match self.text[self.at]:
            case "{":
                return self.members(depth + 1)
            case "[":
                return self.items(depth + 1)
            case '"':
                return self.string()
            case "t":
                self.take("true")
                return True
            case "f":
                self.take("false")
                return False
            case "n":
                self.take("null")
                return None
        return self.number()

    def members(self, depth: int) -> object:
        if depth > self.max_depth:
            raise Refused
        found: dict[str, object] = {}
        self.take("{")
        self.space()
        while self.text[self.at] != "}":
            if found:
                self.take(",")
                self.space()
            key = self.string()
            if key in found:
                raise Refused
            self.space()
            self.take(":")
            found[key] = self.value(depth)
            self.space()
        self.take("}")
        return found

    def items(self, depth: int) -> object:
        if depth > self.max_depth:
            raise Refused
        found: list[object] = []
        self.take("[")
        self.space()
        while self.text[self.at] != "]":
            if found:
                self.take(",")
            found.append(self.value(depth))
            self.space()
        self.take("]")
        return found

    def string(self) -> str:
        self.take('"')
        units: list[str] = []
        while (c := self.text[self.at]) != '"':
            if c < " ":
                raise Refused
            self.at += 1
            units.append(self.escape() if c == "\\" else c)
        self.take('"')
        joined = "".join(units).encode("utf-16-be", "surrogatepass")
        try:
            return joined.decode("utf-16-be")
        except UnicodeDecodeError:
            raise Refused from None

    def escape(self) -> str:
        c = self.text[self.at]
        self.at += 1
        if c == "u":
            digits = self.text[self.at : self.at + 4]
            if len(digits) < 4 or any(d not in "0123456789abcdefABCDEF" for d in digits):
                raise Refused
            self.at += 4
            return chr(int(digits, 16))
        if c not in '"\\/bfnrt':
            raise Refused
        return {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}.get(c, c)

    def number(self) -> object:
        begin = self.at
        if self.text[self.at] == "-":
            self.at += 1
        if self.text[self.at] == "0":
            self.at += 1
        else:
            self.digits()
        if self.text[self.at] == ".":
            self.at += 1
            self.digits()
        if self.text[self.at] in "eE":
            self.at += 1
            if self.text[self.at] in "+-":
                self.at += 1
            self.digits()
        return ("number", self.text[begin : self.at])

    def digits(self) -> None:
        begin = self.at
        while self.text[self.at] in "0123456789":
            self.at += 1
        if begin == self.at:
            raise Refused


@pytest.fixture(scope="session")
def reference() -> Callable[[bytes, int], object]:
    """Reads like `read_json`, slowly; raises `ValueError` where it refuses."""

    def read(data: bytes, max_depth: int) -> object:
        try:
            return Reference(data.decode(), max_depth).document()
        except (Refused, UnicodeDecodeError, IndexError) as e:
            raise ValueError("refused") from e

    return read
