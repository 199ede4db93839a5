"""What the terminal is: how wide, and whether there is a person at it."""

from __future__ import annotations

import shutil
import sys


def is_interactive() -> bool:
    """Whether a question would be read and answered by a person."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def width() -> int | None:
    """In cells; None when the output goes to a file or a program, which is never wrapped."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
