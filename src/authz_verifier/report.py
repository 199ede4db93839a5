"""What was found, and how it is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from authz_verifier.tiles import WIDTH

MOST_LISTED = 10_000


@dataclass
class Report:
    """What was found. `wrong` has a record and what is wrong with it, the first 10,000 of `count`."""

    origin: str = ""
    size: int = 0
    root: str = ""
    key: str = ""
    entries: int = 0
    payloads: int = 0
    checkpoints: int = 0
    count: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, record: str, what: str) -> None:
        """One more thing that is wrong."""
        self.count += 1
        if len(self.wrong) < MOST_LISTED:
            self.wrong.append((record, what))


Progress = Callable[[int, int], None]


def show(report: Report, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        wrong = [{"record": record, "what": what} for record, what in report.wrong]
        print(json.dumps({**vars(report), "ok": not report.count, "wrong": wrong}, indent=2))
        return
    for note in report.notes:
        print(printable(f"note: {note}"))
    for record, what in report.wrong:
        print(printable(f"WRONG  {record}: {what}"))
    print(printable(f"log {report.origin}, {report.size} entries, root {report.root}"))
    print(printable(f"signed by {report.key or 'no key that is known'}"))
    print(
        f"read: {report.entries} entries, {report.payloads} payloads, {report.checkpoints} other checkpoints"
    )
    print("everything fits" if not report.count else f"{report.count} things are wrong")


def printable(text: str) -> str:
    """What a record holds says nothing to a terminal, and cannot be more than it can show."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def say_progress(done: int, size: int) -> None:
    """To standard error, where it is a terminal."""
    if done == size or done % (64 * WIDTH) == 0:
        print(f"\r{done} of {size} entries", end="\n" if done == size else "", file=sys.stderr)
