"""`authz up`: Envoy and the service together on this machine, supervised, with a demo model to try."""

from __future__ import annotations

import dataclasses
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authz_service.commands.deferred import Deferred
from authz_service.commands.options import data_dir_option, drain_option, workers_option

if TYPE_CHECKING:
    from authz_service.commands.up_config import Chosen
    from authz_service.config.model import Config
    from authz_service.keys.data_dir import DataDir

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")
FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


class Address(click.ParamType[tuple[str, int]]):
    """An IP address and a port: 127.0.0.1:10000 or [::1]:10000."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        match = _ADDRESS.fullmatch(str(value).replace("localhost:", "127.0.0.1:"))
        if match is None or not 0 < int(match["port"]) < 65536:
            self.fail(f"{value!r} is no address; write 127.0.0.1:10000 or [::1]:10000", param, ctx)
        return match["v6"] or match["v4"], int(match["port"])


@click.command()
@click.option("--config", type=FILE, help="An authz.yaml; without one, a starter in the data directory.")
@click.option("--model-url", metavar="URL", help="A model server of yours, instead of the demo model.")
@click.option("--listen", type=Address(), metavar="HOST:PORT", help="Where applications connect.")
@data_dir_option("Where everything that this machine keeps lies.")
@click.option("--envoy-file", type=FILE, help="An envoy.yaml that you tuned, to fill in and run.")
@workers_option
@drain_option(5.0)
@click.option("--insecure", is_flag=True, help="Listen without TLS beyond this machine.")
def command(
    config: Path | None,
    model_url: str | None,
    listen: tuple[str, int] | None,
    data_dir: Path,
    envoy_file: Path | None,
    workers: int,
    drain: float,
    insecure: bool,
) -> None:
    """Run Envoy and the service together, and start again what ends, until Ctrl-C.

    Without options: the embedded issuer, SQLite, a starter policy and a demo model, all in the data
    directory; then DIR/up.json says where everything listens. SIGHUP reads the configuration again; with
    several workers SIGUSR2 starts them anew one after the other.
    """
    from authz_service.commands.up_config import choose
    from authz_service.commands.up_run import run_until_stopped, shown, write_envoy_config
    from authz_service.keys.data_dir import DataDir
    from authz_service.keys.only_one import only_one
    from authz_service.proxy.template import template_text

    reloads = Deferred()
    signal.signal(signal.SIGHUP, lambda *_: reloads.ask())  # by default it would end this
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # what starts is new
    data = DataDir.open(data_dir)
    with only_one(data, "up"):
        data.up.unlink(missing_ok=True)  # of a run that was killed
        chosen = choose(config=config, model_url=model_url, data=data, load=_load)
        if listen is not None:
            chosen = _listening(chosen, *listen)
        _require_tls(chosen, insecure=insecure)
        click.echo(f"starting with {shown(chosen.path)}; logs are in {shown(data.logs)}")
        write_envoy_config(chosen.config, data, template_text(envoy_file), insecure=insecure, workers=workers)
        run_until_stopped(
            chosen,
            data,
            workers=workers,
            drain=drain,
            reloads=reloads,
            say=lambda line: click.echo(line, err=True),
            when_ready=lambda running: _announce(chosen, data, running.gateway),
        )
    click.echo("stopped; what waits and what was recorded is there again at the next start")


def _load(path: Path) -> Config:
    from authz_service.cel.load import load_config

    return load_config(path).config


def _listening(chosen: Chosen, host: str, port: int) -> Chosen:
    listen = dataclasses.replace(chosen.config.listen, host=host, port=port)
    return dataclasses.replace(chosen, config=dataclasses.replace(chosen.config, listen=listen))


def _require_tls(chosen: Chosen, *, insecure: bool) -> None:
    from authz_service.errors import Misconfigured
    from authz_service.proxy.settings import is_loopback

    listen = chosen.config.listen
    if listen.tls is None and not insecure and not is_loopback(listen.host):
        raise Misconfigured(
            f"{listen.host} can be reached by other machines: give listen.tls a certificate and key in "
            f"{chosen.path}, or accept tokens and prompts in clear with --insecure"
        )


def _announce(chosen: Chosen, data: DataDir, gateway: str) -> None:
    from authz_service.commands.up_run import shown
    from authz_service.commands.up_try import authz_command, things_to_try

    click.echo(f"\nready: {gateway}/v1  (base_url of an OpenAI SDK; the API key is a token)")
    if chosen.is_starter:
        model = chosen.config.models[0].name
        click.echo("Paste these into another terminal, in this directory:")
        click.echo(things_to_try(gateway=gateway, model=model, data_dir=shown(data.root)))
        click.echo(
            f"The rules are in {shown(chosen.path)}; edit them, then restart. Ctrl-C stops everything."
        )
    else:
        click.echo(f"{authz_command()} hold list --data-dir {shown(data.root)}   # what waits for a reviewer")
        click.echo("Ctrl-C stops everything.")
