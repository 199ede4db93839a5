"""The half of a service that answers Envoy: Check and Process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from authz_service.app.base import Base
from authz_service.app.service import has_other_hosts, mask_key_of, rules_of
from authz_service.app.together import until_all_listen
from authz_service.framing.prefer import LONGEST_WAIT
from authz_service.keys.crew import Duty
from authz_service.keys.files import load_or_create_key
from authz_service.keys.seal import Sealer
from authz_service.proxy.leaving import left_out_within
from authz_service.runtime.draining import drain
from authz_service.runtime.gateway import Ending, Gateway
from authz_service.runtime.marks import Marks
from authz_service.runtime.pacing import Pace
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.succession import Succession
from authz_service.runtime.waiting import Waiting
from authz_service.servers.ext_authz import ExtAuthz
from authz_service.servers.ext_proc import ProcessServer
from authz_service.servers.gateway import serve_gateway


def gateway_of(base: Base) -> Gateway:
    data, config, part = base.settings.data, base.loaded.config, base.settings.part
    longest = max(config.holds.wait, LONGEST_WAIT)
    # All workers together keep the rate, of the configuration in force.
    pace = Pace(lambda: gateway.rules.config.holds.release_rate / part.workers)
    gateway = Gateway(
        store=base.store,
        rules=rules_of(base.loaded, mask_key_of(data)),
        # A held stream that Envoy sends again, since a process has ended, has its old seal.
        sealer=Sealer(load_or_create_key(data.seal_key), life=longest + 60.0),
        pseudonym=base.pseudonym,
        waiting=Waiting(base.store, pace),
        recorder=Recorder(base.store),
        usage=base.store,
        recheck=base.verifier.recheck,
        marks=_marks_of(base, "marks"),
    )
    return gateway


def _marks_of(base: Base, name: str) -> Marks | None:
    """Where there are several workers, what each is doing."""
    data, part = base.settings.data, base.settings.part
    if part.worker is None:
        return None
    marks = Marks(data.sockets, part.worker, part.workers, name=name)
    base.stack.callback(marks.close)
    return marks


async def answer(base: Base, gateway: Gateway) -> None:
    settings, link = base.settings, base.loaded.config.link
    certificates = base.loaded.config.identity.certificates
    opens = asyncio.Event()
    check = ExtAuthz(
        verifier=base.verifier,
        sealer=gateway.sealer,
        refusals=gateway.recorder,
        certificates=None if certificates is None else base.verifier,
        yields_to_token=certificates is not None and certificates.yields_to_token,
        took=gateway.took.check,
        marks=_marks_of(base, "checks"),
        opens=opens,
        leaves=lambda: gateway.is_leaving,
    )
    handlers = (check.handler(), ProcessServer(gateway).handler())
    draining = partial(_drained, gateway, settings.drain, _succession_of(base, gateway))
    has_others = settings.part.workers > 1 or has_other_hosts(base.loaded.config, settings.part)
    left_out = left_out_within(settings.data) if has_others else 0.0

    def leave() -> float:
        return left_out if gateway.ending is Ending.OTHERS else 0.0

    if link is not None:
        host, port = link.listen
        link = replace(link, listen=(host, settings.part.port(port)))
    socket = settings.part.socket(settings.data)
    await base.stack.enter_async_context(
        serve_gateway(socket, handlers, drain=draining, leave=leave, link=link)
    )
    base.run(_open_together(base, opens))


async def _open_together(base: Base, opens: asyncio.Event) -> None:
    try:
        await until_all_listen(base.loaded.config.link, base.settings.data, base.settings.part)
    finally:
        opens.set()  # at a stop too: who waits is sent to another process


def _succession_of(base: Base, gateway: Gateway) -> Succession | None:
    """Where this process serves alone; the gateway learns how the one before it ended.

    Workers, which have marks instead, take away what a lone one left: they may die.
    """
    succession = Succession(base.settings.data.sockets / "in-order-since")
    if base.settings.part.duty is not Duty.ALL:
        succession.forget()
        return None
    gateway.in_order_since = succession.take(gateway.started_at)
    return succession


async def _drained(gateway: Gateway, seconds: float, succession: Succession | None) -> None:
    await drain(gateway, seconds=seconds)
    if succession is not None and not gateway.live:
        succession.leave(gateway.in_order_since)
