"""Takes up exchanges that Envoy sends again because the process that had them died.

Only one that was waiting for people is taken up. Any other may have been released, or may be what the
process died of, and is refused: the caller's own retry is a new exchange.
"""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.audit.draft import Kind
from authz_service.errors import Unavailable
from authz_service.keys.ids import milliseconds_of
from authz_service.keys.seal import Sealed
from authz_service.runtime.gateway import Gateway

HELD = {Kind.HOLD_OPENED.value, Kind.HOLD_ATTACHED.value}
RELEASED = {Kind.REQUEST_RELEASED.value, Kind.ANSWER_RELEASED.value}


@dataclass(frozen=True, slots=True)
class Past:
    """What the record knows of an exchange that is about to begin; `refusal` says why it may not."""

    is_recorded: bool = False
    refusal: Unavailable | None = None


async def past_of(gateway: Gateway, sealed: Sealed) -> Past:
    """What became of the exchange in a process before this one; raises `Unavailable` with the store.

    What was checked by this process began in it, even if the clock went back since it started.
    """
    if sealed.is_of_this_run or milliseconds_of(sealed.exchange) / 1000 >= gateway.started_at:
        return Past()
    kinds = {entry.kind for entry in await gateway.store.entries(sealed.exchange)}
    refusal = None
    if kinds.isdisjoint(HELD) or not kinds.isdisjoint(RELEASED):
        message = "The gateway was restarted while it handled this request; send it again."
        refusal = Unavailable(message, code="restarted")
    return Past(is_recorded=bool(kinds), refusal=refusal)
