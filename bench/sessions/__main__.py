"""`python -m bench.sessions`: how long lists, searches and pages take in a store of a million sessions."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from bench.sessions.asking import AIM, Took, ask
from bench.sessions.filling import fill, recorded
from bench.sessions.place import POSTGRESQL, SQLITE, Calendar, database
from bench.stores import store

SAID_EVERY = 1.0  # seconds
_NAMES = (SQLITE, POSTGRESQL)


@click.command()
@click.option("--sessions", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--database", "databases", multiple=True, type=click.Choice(_NAMES, case_sensitive=False))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the stores stay, and are used again; without it they go at the end.",
)
def main(sessions: int, databases: Sequence[str], folder: Path | None) -> None:
    """Fill a store on each database, ask it, print what took how long.

    A million sessions take 8 to 12 GB and the better part of an hour for each database, once: what was
    recorded when it is interrupted is there at the next time. Exits with 1 when the aim is missed: 200 ms at
    p95.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="authz-sessions-"))
    try:
        late = [
            took
            for name in databases or _NAMES
            for took in asyncio.run(_measure(name, place / name.lower(), sessions))
            if took.p95 > AIM
        ]
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again with the same folder to go on")
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
    if late:
        sys.exit(f"{len(late)} of these took longer than {AIM * 1000:.0f} ms")


async def _measure(name: str, folder: Path, count: int) -> list[Took]:
    clock, all_took = Calendar(), []
    with database(name, folder) as url:
        async with store(url, folder, clock=clock) as opened:
            clock.at(await recorded(opened))
            began = time.monotonic()
            there = await fill(opened, count, _progress(clock, count))
            took = time.monotonic() - began
            size = f"{count:,} sessions on {name}"
            made = f"recorded and indexed in {took:.0f} s" if there < count else "there already"
            if there:
                made += f", {min(there, count):,} of them before"
            click.echo(f"{'':40}\r{size}, {made}\n\n{'':28}{'found':>6}{'p50 ms':>9}{'p95 ms':>9}")
            async for took_each in ask(opened, max(count, there)):
                all_took.append(took_each)
                click.echo(_line(took_each))
            click.echo()
    return all_took


def _progress(clock: Calendar, count: int) -> Callable[[int], None]:
    began, first, said = time.monotonic(), -1, 0.0

    def say(done: int) -> None:
        nonlocal first, said
        clock.at(done)
        first, now = (done if first < 0 else first), time.monotonic()
        if now - said < SAID_EVERY and done < count:
            return
        said, rate = now, (done - first) / max(now - began, 0.001)
        left = f", {(count - done) / rate / 60:.0f} min left" if rate else ""
        click.echo(f"\r{done:,} of {count:,} sessions, {rate:.0f}/s{left}   ", err=True, nl=False)

    return say


def _line(took: Took) -> str:
    late = "  above 200" if took.p95 > AIM else ""
    return f"{took.name:28}{took.found:>6}{took.p50 * 1000:9.1f}{took.p95 * 1000:9.1f}{late}"


if __name__ == "__main__":
    main()
