"""What a watch of holds tells: its snapshot, and the changes after it."""

from __future__ import annotations

from collections.abc import Iterator

from authz_api.v1 import holds_pb2 as pb


def told(message: pb.WatchHoldsResponse) -> tuple[str, str]:
    return (message.hold.id, pb.HoldState.Name(message.hold.state).removeprefix("HOLD_STATE_"))


def snapshot(messages: Iterator[pb.WatchHoldsResponse]) -> tuple[list[str], str]:
    """The holds up to the end of the snapshot, and its cursor."""
    seen: list[str] = []
    for message in messages:
        if message.HasField("snapshot_done"):
            return seen, message.cursor
        assert message.cursor == ""
        seen.append(message.hold.id)
    raise AssertionError("the snapshot did not end")


def next_hold(messages: Iterator[pb.WatchHoldsResponse]) -> pb.WatchHoldsResponse:
    return next(message for message in messages if message.HasField("hold"))
