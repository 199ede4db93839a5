"""The half of a service that answers Envoy: Check and Process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from authz_service.app.base import Base
from authz_service.app.service import mask_key_of, rules_of
from authz_service.framing.prefer import LONGEST_WAIT
from authz_service.keys.files import load_or_create_key
from authz_service.keys.seal import Sealer
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.marks import Marks
from authz_service.runtime.pacing import Pace
from authz_service.runtime.recorder import Recorder
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
        marks=None if part.worker is None else Marks(data.sockets, part.worker, part.workers),
    )
    return gateway


async def answer(base: Base, gateway: Gateway) -> None:
    settings, link = base.settings, base.loaded.config.link
    certificates = base.loaded.config.identity.certificates
    check = ExtAuthz(
        verifier=base.verifier,
        sealer=gateway.sealer,
        refusals=gateway.recorder,
        certificates=None if certificates is None else base.verifier,
        yields_to_token=certificates is not None and certificates.yields_to_token,
        took=gateway.took.check,
    )
    handlers = (check.handler(), ProcessServer(gateway).handler())
    drain = partial(gateway.drain, seconds=settings.drain)
    if link is not None:
        host, port = link.listen
        link = replace(link, listen=(host, settings.part.port(port)))
    socket = settings.part.socket(settings.data)
    await base.stack.enter_async_context(serve_gateway(socket, handlers, drain=drain, link=link))
