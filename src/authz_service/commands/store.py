"""`authz store`: the database's schema, and copies of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authz_cli.options import json_option
from authz_service.commands.options import data_dir_option

config_option = click.option(
    "--config",
    envvar="AUTHZ_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("authz.yaml"),
    show_default=True,
    help="The configuration that names the store.",
)
store_dir_option = data_dir_option("Where an embedded database lies.")


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
@config_option
@store_dir_option
@json_option
def migrate(config: Path, data_dir: Path, as_json: bool) -> None:
    """Bring the store's schema up to date; what is current already stays as it is.

    An embedded SQLite database does this by itself at each start. For PostgreSQL run it once before the
    first start, and after an upgrade, with a role that may create tables.
    """
    from authz_service.cel.load import load_config
    from authz_service.errors import Misconfigured
    from authz_service.keys.data_dir import DataDir
    from authz_service.store.location import store_url
    from authz_service.store.migrate import SchemaState
    from authz_service.store.migrate import migrate as bring_up_to_date

    before = bring_up_to_date(store_url(load_config(config).config, DataDir.open(data_dir)))
    if before is SchemaState.NEWER:
        raise Misconfigured("the database is of a newer version of authz-service; install that version")
    if as_json:
        click.echo(json.dumps({"before": before.value, "now": "current"}))
    else:
        click.echo(f"the schema was {before.value}; it is current now")


@command.command()
@config_option
@store_dir_option
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The new file. A PostgreSQL is dumped for pg_restore.",
)
@click.option("--keys", is_flag=True, help="The keys of people instead of the record; keep the two apart.")
@json_option
def backup(config: Path, data_dir: Path, output: Path, keys: bool, as_json: bool) -> None:
    """Copy the record, or with --keys what opens it, as it is at one moment, while the service runs.

    A record that is restored is refused at the next start, since it lacks what was recorded after the
    backup, until somebody says why: authz audit accept --reason TEXT. The files with keys in the data
    directory are in neither copy.
    """
    from authz_service.cel.load import load_config
    from authz_service.keys.data_dir import DataDir
    from authz_service.store.backup import back_up
    from authz_service.store.location import keys_url, store_url

    loaded, data = load_config(config).config, DataDir.open(data_dir)
    url = keys_url(loaded, data) if keys else store_url(loaded, data)
    size = back_up(url, output.absolute())
    what = "keys" if keys else "record"
    if as_json:
        click.echo(json.dumps({"file": str(output), "bytes": size, "of": what}))
        return
    click.echo(f"wrote {output} ({size} bytes): the {what}, as of now")
    if not keys:
        click.echo("It opens only with the keys: authz store backup --keys, to another place.", err=True)
