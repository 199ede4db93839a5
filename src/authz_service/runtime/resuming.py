"""Takes up exchanges that Envoy sends again because the process that had them died.

Only one that was waiting for people is taken up. Any other may have been released, or may be what the
process died of, and is refused: the caller's own retry is a new exchange.
"""

from __future__ import annotations

from authz_service.audit.draft import Kind
from authz_service.errors import Unavailable
from authz_service.keys.ids import milliseconds_of
from authz_service.runtime.gateway import Gateway

HELD = {Kind.HOLD_OPENED.value, Kind.HOLD_ATTACHED.value}


async def is_resumed(gateway: Gateway, exchange: str) -> bool:
    """Whether the exchange began before this process did, and was held then.

    Raises `Unavailable` for one that began before and was not, or that was released.
    """
    if milliseconds_of(exchange) / 1000 >= gateway.started_at:
        return False
    kinds = {entry.kind for entry in await gateway.store.entries(exchange)}
    if kinds.isdisjoint(HELD) or Kind.REQUEST_RELEASED.value in kinds:
        message = "The gateway was restarted while it handled this request; send it again."
        raise Unavailable(message, code="restarted")
    return True
