"""What is worth a warning whenever a configuration comes into force."""

from __future__ import annotations

import structlog

from authz_service.config.model import Config

log = structlog.get_logger(__name__)


def warn_of_untold(config: Config) -> None:
    """Say in the log that nobody is told of decisions that are made alone, where that is so."""
    if config.is_break_glass_untold:
        log.warning(
            "review.break_glass_untold",
            note="review.break_glass lets people decide alone, and no receiver of notify is told of it",
        )
