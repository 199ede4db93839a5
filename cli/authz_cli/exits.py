"""How a command ends: exit codes that scripts may rely on, and errors of one line."""

from __future__ import annotations

from enum import IntEnum

import click

from authz_cli.safe_text import safe_line


class Exit(IntEnum):
    """Documented in docs/reviewers.md and at the end of every `--help`."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NOT_PERMITTED = 5
    AWAY = 6
    UNDECIDED = 7


EXIT_CODES = """\b
Exit codes:
  0  done
  1  refused, declined, or a check that failed
  2  wrong usage or configuration
  3  not found
  4  conflict: decided before, changed, or too late
  5  not permitted, or no valid token
  6  the server is away
  7  undecided in the time that was given"""

_BY_STATUS = {
    401: Exit.NOT_PERMITTED,
    403: Exit.NOT_PERMITTED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    500: Exit.USAGE,
    503: Exit.AWAY,
}


class Failure(click.ClickException):
    """Ends the command with a message, which names the next step, and an exit code."""

    def __init__(self, message: str, exit_code: Exit = Exit.REFUSED) -> None:
        super().__init__("\n".join(safe_line(line) for line in message.splitlines()))
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click asks the instance


def exit_for_status(status: int) -> Exit:
    """The exit code for an error of the service's own, by its HTTP status (500: a wrong setting)."""
    return _BY_STATUS.get(status, Exit.REFUSED)
