"""Puts on record that payloads are about to be exported: here, or by the service that has the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from authz_cli.exits import Exit, Failure, exit_for_status
from authz_cli.options import Target
from authz_service.audit.tiles import WIDTH
from authz_service.commands.record_remote import Remote
from authz_service.commands.record_work import IN_USE, Place
from authz_service.errors import AuthzError, Misconfigured

NEXT = "payloads can be left out with --no-payloads"


def record_export(config: Path | None, target: Target, first: int, last: int | None) -> int:
    """How many entries there are then, that of the export among them; `last` is None for all of these.

    What is recorded is what goes out: whole bundles of entries. Raises when it cannot be recorded.
    """
    begin = (first - 1) // WIDTH * WIDTH + 1
    end = None if last is None else -(-last // WIDTH) * WIDTH
    with _explained():
        try:
            return Place(config, target.data_dir).record_export(begin, end)
        except Misconfigured as error:
            if error.code != IN_USE:
                raise
        # The data directory is what the record lies in, so a token of its own issuer is one of this server.
        return Remote(replace(target, is_data_dir_named=True)).record_export(begin, end)


@contextmanager
def _explained() -> Iterator[None]:
    nothing = "nothing was exported, as it cannot be put on record that payloads are read"
    try:
        yield
    except Failure as error:
        raise Failure(f"{nothing}: {error.message}; {NEXT}", Exit(error.exit_code)) from error
    except AuthzError as error:
        raise Failure(f"{nothing}: {error}; {NEXT}", exit_for_status(error.status)) from error
