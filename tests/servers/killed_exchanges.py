"""An exchange that an operator ends, and what is said of it."""

from __future__ import annotations

import json

from tests.servers.played_stream import Play

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.live_sessions import LiveSessions


async def kill(store: LiveSessions, session: str) -> None:
    entry = EntryDraft(Kind.SESSION_KILLED, session, payloads={"operator": b"{}", "reason": b"It loops."})
    assert (await store.kill(session, entry)).status == "killing"


def said(play: Play) -> object:
    (reply,) = [r.immediate_response for r in play.responses if r.HasField("immediate_response")]
    return json.loads(reply.body)["error"]["code"]
