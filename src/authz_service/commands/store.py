"""`authz store`: the database's schema."""

from __future__ import annotations

import json
from pathlib import Path

import click

from authz_service.commands.options import data_dir_option


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
@click.option(
    "--config",
    envvar="AUTHZ_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("authz.yaml"),
    show_default=True,
    help="The configuration that names the store.",
)
@data_dir_option("Where an embedded database lies.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
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
