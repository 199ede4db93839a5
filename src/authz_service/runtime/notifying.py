"""Brings what is in the outbox to its receivers: each at its own pace, again and again for a bounded time.

Any number of processes may do this on one database: a notification is claimed for some seconds, and who dies
with it leaves it to the next. So it arrives at least once, with the same id, and in no promised order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from authz_service.config.notify_values import CallerShown, NotifiedWebhook, Notify
from authz_service.core.notifications import NOBODY, Notification, NotificationStore
from authz_service.errors import AuthzError
from authz_service.notify.channel import Channel, NotDelivered, Notice
from authz_service.notify.webhook import WebhookChannel
from authz_service.runtime.mishaps import Mishaps

POLL_SECONDS = 1.0
IDLE_SECONDS = 60.0
AT_ONCE = 8
"""What one receiver is sent at a time."""
LEASE_SECONDS = 60.0
"""Longer than any delivery takes: who has claimed one and says nothing for as long has died."""
DELIVERY_SECONDS = 30.0
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 3600.0
KEEP_SECONDS = 14 * 86_400.0
"""How long what has ended stays listed."""
TIDY_SECONDS = 60.0
TEST = "notify.test"

Pseudonym = Callable[[tuple[str, str]], str]
MakeChannel = Callable[[NotifiedWebhook], Channel]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Standing:
    """How one receiver stands, for metrics; counts are of this process."""

    queued: int = 0
    oldest_at: float = 0.0
    delivered: int = 0
    failures: int = 0
    given_up: int = 0


class Notifying:
    """`replace` puts other receivers in force; `run` delivers until cancelled."""

    def __init__(
        self,
        store: NotificationStore,
        settings: Notify,
        pseudonym: Pseudonym,
        *,
        channel_of: MakeChannel = WebhookChannel,
        chance: Callable[[], float] = random.random,
        first_pause: float = FIRST_PAUSE,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self._store = store
        self._pseudonym = pseudonym
        self._channel_of = channel_of
        self._chance = chance
        self._first_pause = first_pause
        self._lease = lease
        self._news = asyncio.Event()
        self._busy: set[str] = set()
        self._serving = Mishaps("notifications.serve_failed")
        self._tidied_at = float("-inf")
        self.standings: dict[str, Standing] = {}
        self.now = 0.0
        """The store's time at the last look."""
        self.replace(settings)

    @property
    def receivers(self) -> Mapping[str, Channel]:
        """Those of the configuration in force, by name."""
        return self._channels

    @property
    def give_up_after(self) -> float:
        """For how many seconds a delivery is tried."""
        return self._settings.give_up_after

    def replace(self, settings: Notify) -> None:
        """Other receivers from now on; what is under way to one that is gone is still settled."""
        self._settings = settings
        self._hooks = {hook.name: hook for hook in settings.webhooks}
        self._channels = {name: self._channel_of(hook) for name, hook in self._hooks.items()}
        self.standings = {name: self.standings.get(name, Standing()) for name in self._hooks}
        self._news.set()

    def heard(self, _holds: Collection[str]) -> None:
        """Holds have changed: there may be something to deliver."""
        if self._channels:
            self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled. While the store is away nothing is claimed, and nothing lost."""
        looks = Mishaps("notifications.look_failed")
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                try:
                    await self._look(tasks)
                    await self._tidy()
                    looks.over()
                except Exception as error:  # whatever one row has, the service must not end with it
                    looks.say(error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS if self._channels else IDLE_SECONDS):
                        await self._news.wait()

    async def test(self, name: str) -> None:
        """Send a notice that is about nothing; raises `NotDelivered`, and `KeyError` for no such receiver."""
        at = await self._store.now()
        notice = Notice(f"test_{int(at * 1e6):x}", TEST, at, "", "", "", "")
        await _hand_over(self._channels[name], notice)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        self.now = await self._store.now()
        queues = {queue.receiver: queue for queue in await self._store.queues()}
        for name, standing in self.standings.items():
            queue = queues.get(name)
            standing.queued = queue.queued if queue else 0
            standing.oldest_at = queue.oldest_at if queue else 0.0
            if queue is not None and queue.next_at <= self.now and name not in self._busy:
                self._busy.add(name)
                tasks.create_task(self._serve(name))

    async def _serve(self, name: str) -> None:
        """Deliver what is due for one receiver. What hangs here holds up nobody else."""
        try:
            while (channel := self._channels.get(name)) is not None:
                claimed = await self._store.claim_notifications(name, most=AT_ONCE, lease=self._lease)
                if not claimed:
                    break
                async with asyncio.TaskGroup() as tasks:
                    for notification in claimed:
                        tasks.create_task(self._try(channel, notification))
            self._serving.over()
        except Exception as error:  # as above; the next look begins anew
            self._serving.say(error)
        finally:
            self._busy.discard(name)

    async def _try(self, channel: Channel, notification: Notification) -> None:
        try:
            await self._deliver(channel, notification)
        except AuthzError:
            return  # the store is away: the claim runs out, and it is sent again
        except Exception as error:  # as above, of what was claimed beside it
            about = {"receiver": notification.receiver, "notification": notification.id}
            log.error("notification.failed", error=type(error).__name__, **about)
            await self._settle_fault(notification, error)

    async def _settle_fault(self, notification: Notification, error: Exception) -> None:
        """What fails by a fault of ours, or of its row, is tried as long as any other, and given up then."""
        standing = self.standings.get(notification.receiver, Standing())
        standing.failures += 1
        with suppress(Exception):  # not even that can be written: the claim runs out
            await self._failed(notification, NotDelivered(f"it failed ({type(error).__name__})"), standing)

    async def _deliver(self, channel: Channel, notification: Notification) -> None:
        standing = self.standings.get(notification.receiver, Standing())
        try:
            await _hand_over(channel, self._notice(notification))
        except NotDelivered as error:
            standing.failures += 1
            await self._failed(notification, error, standing)
            return
        if await self._store.delivered(notification):
            standing.delivered += 1

    async def _failed(self, notification: Notification, why: NotDelivered, standing: Standing) -> None:
        error = str(why)
        pause = max(self._pause(notification.attempts), min(why.again_in, LONGEST_PAUSE))
        is_over = await self._store.now() + pause > notification.give_up_at
        about = {"receiver": notification.receiver, "notification": notification.id, "error": error}
        if not is_over:
            log.info("notification.not_delivered", again_in=round(pause), **about)
            await self._store.not_delivered(notification, error=error, again_in=pause)
        elif await self._store.not_delivered(notification, error=error, again_in=None):
            standing.given_up += 1
            log.warning("notification.given_up", attempts=notification.attempts, **about)

    def _pause(self, attempts: int) -> float:
        """Twice as long each time; between half of it and the whole, so that many do not come at once."""
        whole = min(self._first_pause * 2.0 ** min(attempts - 1, 32), LONGEST_PAUSE)
        return whole * (0.5 + 0.5 * self._chance())

    def _notice(self, notification: Notification) -> Notice:
        hook = self._hooks.get(notification.receiver)
        is_named = hook is not None and hook.caller is CallerShown.NAME
        return Notice(
            id=notification.id,
            type=notification.event,
            at=notification.at,
            hold=notification.hold,
            rule=notification.rule,
            caller=notification.name if is_named else self._caller(notification),
            model=notification.model,
            deadline=notification.deadline,
            link=self._settings.link.replace("{hold}", notification.hold),
            grant=notification.grant,
        )

    def _caller(self, notification: Notification) -> str:
        return "" if notification.identity == NOBODY else self._pseudonym(notification.identity)

    async def _tidy(self) -> None:
        if self.now >= self._tidied_at + TIDY_SECONDS:
            self._tidied_at = self.now
            await self._store.tidy_notifications(self._hooks.keys(), keep=KEEP_SECONDS)


async def _hand_over(channel: Channel, notice: Notice) -> None:
    """Deliver, bounded in time; whatever a channel does wrong is a notice that was not delivered."""
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            await channel.deliver(notice)
    except NotDelivered:
        raise
    except TimeoutError:
        raise NotDelivered("it does not answer") from None
    except Exception as error:  # a fault of one channel must not stop the others, nor the service
        log.error("notification.channel_failed", receiver=channel.name, error=type(error).__name__)
        raise NotDelivered(f"it failed ({type(error).__name__})") from error
