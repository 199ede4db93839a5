"""TLS of the listener for logins by SAML: certificate and key are read again when their files change."""

from __future__ import annotations

import asyncio
import ssl

import structlog

from authz_service.config.gateway_values import Tls
from authz_service.errors import Misconfigured

EVERY = 5.0
"""Seconds between two looks at the files."""

log = structlog.get_logger(__name__)


def context_of(tls: Tls) -> ssl.SSLContext:
    """For a listener; raises `Misconfigured` for files that cannot be read or do not belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password: OpenSSL would ask the terminal for one.
        context.load_cert_chain(tls.cert, tls.key, password=b"")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = f"login.listen: {tls.cert} and {tls.key} are no certificate and its key, in PEM"
        raise Misconfigured(message) from error
    return context


async def follow(tls: Tls, context: ssl.SSLContext, *, every: float = EVERY) -> None:
    """Give new connections what the files have, whenever that is good, until cancelled."""
    known = _version(tls)
    bad: object = None  # what was said of already
    while True:
        await asyncio.sleep(every)
        found = _version(tls)
        if found is None or found == known:
            continue
        try:
            context_of(tls)  # first on its own: half of a new pair must not replace half of the old
            context.load_cert_chain(tls.cert, tls.key, password=b"")
        except (Misconfigured, OSError, ValueError) as error:  # also when the files changed in between
            if found != bad:
                why = str(error) if isinstance(error, Misconfigured) else type(error).__name__
                log.warning("tls.certificate_kept", section="login.listen", reason=why)
            bad = found
        else:
            log.info("tls.certificate_taken", section="login.listen")
            known, bad = found, None


def _version(tls: Tls) -> object:
    """What tells one version of the files from another; None while one is away."""
    try:
        return [(s.st_mtime_ns, s.st_size, s.st_ino) for s in (tls.cert.stat(), tls.key.stat())]
    except OSError:
        return None
