"""What goes wrong in a loop that must go on: the log says it once, until that is over or changes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from authz_service.errors import AuthzError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Mishaps:
    """Of one loop, which has `event` in the log for them."""

    event: str
    _said: str = ""

    def say(self, error: Exception) -> None:
        """Something went wrong; what an error that is none of ours says is left out, as it could quote."""
        said = str(error) if isinstance(error, AuthzError) else type(error).__name__
        if said != self._said:
            self._said = said
            tell = log.warning if isinstance(error, AuthzError) else log.error
            tell(self.event, error=said)

    def over(self) -> None:
        """All went well."""
        self._said = ""
