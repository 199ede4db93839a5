"""`--from` and `--to` of an export: a number of an entry, or a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from authz_service.errors import Misconfigured
from authz_service.store.record_reader import RecordReader

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def entry_range(first: str | None, last: str | None, reader: RecordReader, size: int) -> tuple[int, int]:
    """The first and last entry to export; raises `Misconfigured` when there is none between them."""
    start = 1 if first is None else max(1, _entry(first, reader))
    end = size if last is None else min(size, int(last) if last.isdigit() else _entry(last, reader) - 1)
    if start > end and size:
        raise Misconfigured(f"no entry lies between --from and --to; there are {size}")
    return start, end


def _entry(text: str, reader: RecordReader) -> int:
    return int(text) if text.isdigit() else reader.first_since(_microseconds(text))


def _microseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(
            f"{text!r} is neither an entry's number nor a time such as 2026-11-05T10:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
