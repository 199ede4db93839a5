"""One channel that is a JSON document in a string (a tool call's arguments), arriving in pieces.

Values are looked for in what the document says: in decoded strings and keys, in numbers and literals.
What stands between is never part of a finding, so a document with its findings replaced is one still.
From the first token on that fits no JSON document, the rest is plain text: models do send such
arguments, and whatever reads them must not get what a plain text would not have let through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from authz_service.masking import grammar
from authz_service.masking.finding import Finding
from authz_service.masking.grammar import Grammar
from authz_service.masking.json_numbers import found_in_number, written_out
from authz_service.masking.json_text import DecodedString
from authz_service.masking.seams import IncrementalScanner, Progress
from authz_service.masking.stream import check_held

_STRUCTURE = frozenset("[]{},:")
_ENDS_TOKEN = frozenset(grammar.WHITESPACE + '[]{},:"')


class PlainTexts(Protocol):
    """What this needs of the scanner that it belongs to."""

    def scan(self, text: str) -> tuple[Finding, ...]: ...
    def incremental(self) -> IncrementalScanner: ...


class EmbeddedJsonStream:
    """Implements `IncrementalScanner`. Spans cover whole escapes, and `settled` never cuts one."""

    def __init__(self, texts: PlainTexts) -> None:
        self._texts = texts
        self._grammar = Grammar()
        self._rest = ""  # what may be needed again
        self._origin = 0  # of `_rest` in the channel
        self._at = 0  # in `_rest`
        self._token: int | None = None  # where in the channel a number or literal begins
        self._token_end: int | None = None  # it is over, and its neighbour is still to come
        self._string: DecodedString | None = None
        self._scanner: IncrementalScanner | None = None  # of the open string, or of the plain rest
        self._string_settled = 0
        self._plain: int | None = None  # where the plain rest begins
        self._findings: list[Finding] = []
        self._more: set[int] = set()

    def feed(self, text: str) -> Progress:
        """See `IncrementalScanner.feed`."""
        self._rest += text
        self._read()
        check_held(self._origin + len(self._rest) - self._settled)
        return self._progress()

    def finish(self, text: str = "") -> Progress:
        """See `IncrementalScanner.finish`; a document that is cut short is scanned as far as it goes."""
        self._rest += text
        self._read()
        if self._token is not None:
            self._finish_token(self._token)
        if self._string is not None:
            self._close_string(self._string)
            self._begin_plain(self._at)  # half an escape, if anything
        self._read()
        if self._plain is not None and self._scanner is not None:
            self._take(self._scanner.finish(), self._from_plain)
        return self._progress()

    @property
    def _settled(self) -> int:
        if self._string is not None or self._plain is not None:
            return self._string_settled
        return self._origin + self._at if self._token is None else self._token

    def _read(self) -> None:
        while self._at < len(self._rest) and self._read_some():
            pass
        done = self._at if self._token is None else self._token - self._origin
        self._rest = self._rest[done:]
        self._origin += done
        self._at -= done

    def _read_some(self) -> bool:
        """Take one token, or a string's share; False when more text is needed for that."""
        if self._plain is not None:
            return self._read_plain()
        if self._string is not None:
            return self._read_string(self._string)
        if self._token is not None:
            return self._read_token(self._token)
        char = self._rest[self._at]
        if char == '"' and self._grammar.string():
            self._string = DecodedString(self._origin + self._at + 1)
            self._string_settled = self._origin + self._at + 1
        elif grammar.may_begin_scalar(char) and self._grammar.scalar():
            self._token, self._token_end = self._origin + self._at, None
        elif char not in grammar.WHITESPACE and not self._grammar.structure(char):
            self._begin_plain(self._at)
            return True
        self._at += 1
        return True

    def _read_plain(self) -> bool:
        if self._scanner is None:
            self._scanner = self._texts.incremental()
        self._take(self._scanner.feed(self._rest[self._at :]), self._from_plain)
        self._at = len(self._rest)
        return False

    def _read_string(self, string: DecodedString) -> bool:
        share = string.decode(self._rest, self._at, origin=self._origin)
        self._at = share.end
        if share.is_closed or share.is_broken:
            self._close_string(string, share.text)
            self._at += share.is_closed
            if share.is_broken:
                self._begin_plain(self._at)
            return True
        if share.text:
            if self._scanner is None:
                self._scanner = self._texts.incremental()
            self._take(self._scanner.feed(share.text), string.source)
        return False

    def _close_string(self, string: DecodedString, text: str = "") -> None:
        if self._scanner is None:
            for finding in self._texts.scan(text):
                self._found(finding, string.source)
        else:
            self._take(self._scanner.feed(text), string.source)
            self._take(self._scanner.finish(), string.source)
        self._string = self._scanner = None

    def _read_token(self, start: int) -> bool:
        """Find the token's end, and then a neighbour that lets it be one: `4111 1111` is no number."""
        while self._at < len(self._rest):
            char = self._rest[self._at]
            if self._token_end is None and char in _ENDS_TOKEN and not self._end_token(start):
                return True
            if self._token_end is not None and char not in grammar.WHITESPACE:
                if self._grammar.structure(char):
                    self._found_token(start)
                    self._at += 1
                else:
                    self._begin_plain(start - self._origin)
                return True
            self._at += 1
        return False

    def _finish_token(self, start: int) -> None:
        if self._token_end is not None or self._end_token(start):
            self._found_token(start)

    def _end_token(self, start: int) -> bool:
        """The token ends here; False when it is no number or literal, and so plain text begins with it."""
        is_scalar = grammar.is_scalar(self._rest[start - self._origin : self._at])
        if is_scalar:
            self._token_end = self._origin + self._at
        else:
            self._begin_plain(start - self._origin)
        return is_scalar

    def _found_token(self, start: int) -> None:
        """The whole token is the span: what replaces it is a string, and a part of it could not be."""
        end = self._origin + len(self._rest) if self._token_end is None else self._token_end
        said = written_out(self._rest[start - self._origin : end - self._origin])
        for found in found_in_number(said, self._texts.scan):
            self._findings.append(Finding(found.entity, start, end, bare=True, value=found.value))
        self._token = self._token_end = None

    def _begin_plain(self, at: int) -> None:
        self._at = at
        self._plain = self._string_settled = self._origin + at
        self._token = self._token_end = self._string = self._scanner = None

    def _from_plain(self, at: int) -> int:
        return (self._plain or 0) + at

    def _take(self, progress: Progress, source: Callable[[int], int]) -> None:
        for index, finding in enumerate(progress.findings):
            if index in progress.more:
                self._more.add(len(self._findings))
            self._found(finding, source)
        self._string_settled = source(progress.settled)
        if self._string is not None:
            self._string.forget(progress.settled)

    def _found(self, finding: Finding, source: Callable[[int], int]) -> None:
        start, end = source(finding.start), source(finding.end)
        self._findings.append(Finding(finding.entity, start, end, value=finding.value))

    def _progress(self) -> Progress:
        progress = Progress(tuple(self._findings), self._settled, frozenset(self._more))
        self._findings.clear()
        self._more.clear()
        return progress
