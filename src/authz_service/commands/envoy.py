"""`authz envoy`: shows and checks the Envoy configuration that stands between callers and models."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authz_service.commands.options import data_dir_option, workers_option

FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group()
def command() -> None:
    """Render and validate the Envoy configuration."""


@command.command()
@click.option(
    "--config",
    envvar="AUTHZ_CONFIG",
    type=FILE,
    help="An authz.yaml; without one, that of the data directory.",
)
@data_dir_option("Where the service's socket lies.")
@click.option("--envoy-file", type=FILE, help="An envoy.yaml that you tuned, to fill in.")
@workers_option
@click.option("--insecure", is_flag=True, help="Listen without TLS beyond this machine.")
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of standard output.",
)
def render(
    config: Path | None,
    data_dir: Path,
    envoy_file: Path | None,
    workers: int,
    insecure: bool,
    output: Path | None,
) -> None:
    """Fill addresses, paths and models into envoy.yaml, check the result and print it.

    The models' credentials are written into the data directory, where the result looks for them.
    """
    from authz_service.cel.load import load_config
    from authz_service.commands.up_run import checked_envoy_text
    from authz_service.errors import Misconfigured
    from authz_service.keys.data_dir import DataDir
    from authz_service.proxy.files import write_private
    from authz_service.proxy.template import template_text

    data = DataDir.open(data_dir)
    path = config or data.root / "authz.yaml"
    if not path.is_file():
        raise Misconfigured(f"there is no {path}; name a configuration with --config")
    template = template_text(envoy_file)
    text = checked_envoy_text(
        load_config(path).config, data, template, access_log="/dev/stdout", insecure=insecure, workers=workers
    )
    if output is None:
        click.echo(text, nl=False)
    else:
        write_private(output.absolute(), text)
        click.echo(f"wrote {output}", err=True)


@command.command()
@click.argument("file", type=FILE)
@click.option("--insecure", is_flag=True, help="Accept a listener without TLS beyond this machine.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs: a list of faults.")
@click.pass_context
def validate(ctx: click.Context, file: Path, insecure: bool, as_json: bool) -> None:
    """Say what in an Envoy FILE would open the gate: exit code 0 when nothing does, else 2.

    What can be tuned is what this check can answer for; any other setting is a fault too. If nothing
    is found, Envoy itself judges the file last, so the files that it names must be there.
    """
    from authz_service.proxy.template import template_text
    from authz_service.proxy.validate import validate as faults_of

    faults = faults_of(template_text(file), insecure=insecure)
    if as_json:
        objects = [
            {"code": f.code, "where": f.where, "line": f.line or None, "message": f.message} for f in faults
        ]
        click.echo(json.dumps(objects, indent=2))
    else:
        for fault in faults:
            click.echo(f"{file}: {fault}", err=True)
        if not faults:
            click.echo(f"{file}: every way to a model leads through the gate")
    ctx.exit(2 if faults else 0)
