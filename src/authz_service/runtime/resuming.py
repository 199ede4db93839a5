"""Takes up exchanges that Envoy sends again because the process that had them died.

Only one that was waiting for people is taken up, and none that an operator has ended. Any other may have been
released, or may be what the process died of, and is refused: the caller's own retry is a new exchange. That a
stream is not the first of its exchange is known at once where the exchange is older than this process, or,
with several workers, where a worker of this machine left a mark of it; else from the record, which takes the
beginning of an exchange once. With several workers an older one that is not on record is no second stream by
that alone: another worker may have checked it. So may, where one serves alone, the process before this one:
if that ended in order, and all since, what is not on record waited at Envoy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from authz_service.core.sessions import TakenUp
from authz_service.errors import AuthzError, Forbidden, Unavailable
from authz_service.keys.ids import milliseconds_of
from authz_service.keys.seal import Sealed
from authz_service.runtime.gateway import Gateway

POISONED = "poisoned"

TakeUp = Callable[[], Awaitable[TakenUp]]
"""Takes the exchange up for the stream that asks; raises `Unavailable` with the store."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the record knows of an exchange that is about to begin; `refusal` says why it may not.

    `hold` is what it waited for, in the process that had it.
    """

    is_recorded: bool = False
    refusal: AuthzError | None = None
    hold: str = ""


async def past_of(gateway: Gateway, sealed: Sealed, take_up: TakeUp) -> Past:
    """What became of the exchange in a process before this one; raises `Unavailable` with the store.

    What was checked by this process began in it, even if the clock went back since it started.
    """
    if gateway.marks is not None and gateway.marks.is_poison(sealed.exchange):
        return Past(refusal=poisoned())
    checked_at = milliseconds_of(sealed.exchange) / 1000
    if sealed.is_of_this_run or checked_at >= gateway.started_at:
        return Past()
    past = await taken_up(take_up)
    if not past.is_recorded and (gateway.marks is not None or checked_at >= gateway.in_order_since):
        # Checked by another worker while this one was being started, or by a process before this one: none
        # died judging it, and of what is not on record nothing was released.
        return Past()
    return past


def poisoned() -> Unavailable:
    """Why what workers died of is not tried again."""
    message = "The gateway's workers ended while they handled this request, so it is not tried again."
    return Unavailable(message, code=POISONED)


async def taken_up(take_up: TakeUp) -> Past:
    """Take it up, if it was held; raises `Unavailable` with the store."""
    found = await take_up()
    if found.is_ours:
        return Past(is_recorded=True, hold=found.hold)
    if found.is_killed:
        ended = Forbidden("An operator ended this request.", code="ended_by_operator")
        return Past(found.is_recorded, ended)
    message = "The gateway was restarted while it handled this request; send it again."
    return Past(found.is_recorded, Unavailable(message, code="restarted"))
