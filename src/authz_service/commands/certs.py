"""`authz certs`: the certificates by which Envoy and a service on another host know each other."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    help="A name or address by which Envoy reaches the service, as in service.addresses. Repeat for more.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long they are good."
)
@click.option(
    "--renew",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help="Make them anew where one that is there ends within DAYS; restart Envoy and the service after that.",
)
def command(folder: Path, hosts: tuple[str, ...], days: int, renew: int | None) -> None:
    """Make an authority of your own in FOLDER, and certificates for the service and for Envoy.

    Whoever has a certificate of this authority can speak to the service, so it signs nothing else: its key
    is not kept. Files that are there already are left alone, and nothing is made: `--renew` replaces
    those that end soon, and who deletes the folder begins anew. Prints the `service` section for authz.yaml.
    """
    from authz_service.keys.certificates import NAMES, make_certificates

    made = make_certificates(folder.absolute(), hosts, days=days, renew=renew or 0)
    click.echo(f"{'made' if made else 'found'} {', '.join(NAMES)} in {folder}", err=True)
    addresses = ", ".join(f'"{_shown(host)}:9443"' for host in hosts)
    lines = [
        "service:",
        f"  addresses: [{addresses}]",
        '  listen: "0.0.0.0:9443"',
        *(f"  {name}: {folder / file}" for name, file in _KEYS),
    ]
    click.echo("\n".join(lines))


_KEYS = (
    ("authority", "authority.crt"),
    ("cert", "service.crt"),
    ("key", "service.key"),
    ("envoy_cert", "envoy.crt"),
    ("envoy_key", "envoy.key"),
)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
