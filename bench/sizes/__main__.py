"""`python -m bench.sizes`: what long prompts and answers take, and what small requests beside them notice."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from bench.case import Gateway, Site
from bench.gateways import watched
from bench.machine import facts
from bench.processes import program
from bench.sizes.asking import NotAnswered
from bench.sizes.bodies import KIB
from bench.sizes.measuring import Beside, Sized, beside, curve
from bench.sizes.page import charts, on_terminal, page

from authz_service.proxy.probes import accepts, free_port

SIZES = (64, 256, 1024, 4096, 8192)
ALONE = 50


@click.command()
@click.option(
    "--size", "sizes", multiple=True, type=click.IntRange(4, 8192), help="KiB; several may be given."
)
@click.option("--times", type=click.IntRange(1), default=5, show_default=True, help="For each size.")
@click.option("--beside", "large", type=click.IntRange(0), default=10, show_default=True, help="At a time.")
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write a page and its charts."
)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where logs are left.")
def main(sizes: tuple[int, ...], times: int, large: int, markdown: Path | None, keep: Path | None) -> None:
    """Send prompts and conversations, and have answers, of 64 KiB to 8 MiB; then small requests beside large.

    Exits with 1 when a request failed; a missed aim is no failure.
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="authz-sizes-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        machine = facts(folder)
        found, fair = _measured(folder, [size * KIB for size in sorted(sizes or SIZES)], times, large)
    except (NotAnswered, RuntimeError) as error:
        sys.exit(str(error))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"\n{on_terminal(found, fair)}")
    if markdown is not None:
        day = datetime.datetime.now(datetime.UTC).date().isoformat()
        drawn = {name: markdown.with_name(f"{markdown.stem}-{name}.svg") for name in charts(found)}
        for name, svg in charts(found).items():
            drawn[name].write_text(svg)
        files = {name: path.name for name, path in drawn.items()}
        markdown.write_text(page(found, fair, machine=machine, day=day, times=times, drawn=files))


def _measured(
    folder: Path, sizes: Sequence[int], times: int, large: int
) -> tuple[list[Sized], Beside | None]:
    port, late, site = free_port(), folder / "late", folder / "gateway"
    site.mkdir(mode=0o700)
    command = (sys.executable, "-m", "bench.sizes.model", str(port))
    ready = lambda: accepts("127.0.0.1", port)  # noqa: E731 - a name for an argument
    with (
        program(command, log=folder / "model.log", is_ready=ready) as model,
        watched(Site(site, port, model.pid), late=late) as gateway,
    ):
        return asyncio.run(_all(gateway, late, sizes, times, large))


async def _all(
    gateway: Gateway, late: Path, sizes: Sequence[int], times: int, large: int
) -> tuple[list[Sized], Beside | None]:
    found = []
    async for each in curve(gateway, late, sizes, times):
        click.echo(f"{each.kind} of {each.size // KIB} KiB: {each.p50 * 1e3:.0f} ms", err=True)
        found.append(each)
    return found, await beside(gateway, late, sizes[-1], large, ALONE) if large else None


if __name__ == "__main__":
    main()
