"""What `authz doctor` says of the certificates that others see: how long they are good for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.model import Config
from authz_service.servers.certificate_dates import LOGINS, Shown, certificates_of, validity_of

SOON = timedelta(days=14)
_RENEW = "put a new one in its place by a rename (mv)"


def check_certificates(config: Config, now: datetime | None = None) -> Iterator[Finding]:
    """The listeners', and those by which Envoy and the service know each other; nothing without TLS."""
    for shown in certificates_of(config):
        step = _RENEW if shown.setting == LOGINS else f"{_RENEW}, then SIGHUP"
        yield _judged(shown, now or datetime.now(UTC), step)


def _judged(shown: Shown, now: datetime, step: str) -> Finding:
    check, path = f"certificate {shown.setting}", shown.file
    try:
        validity = validity_of(path)
    except (OSError, ValueError):
        return Finding(check, Status.FAIL, f"{path} holds no certificate that can be read", step)
    begins, ends = validity.begins, validity.ends
    if ends <= now:
        return Finding(check, Status.FAIL, f"{path} expired on {ends:%Y-%m-%d}: nobody connects", step)
    if begins > now:
        message = f"{path} is good from {begins:%Y-%m-%d %H:%M}Z on only"
        return Finding(check, Status.FAIL, message, "look at the clock, or put another one in its place")
    status = Status.WARN if ends - now < SOON else Status.OK
    return Finding(check, status, f"good until {ends:%Y-%m-%d}", step if status is Status.WARN else "")
