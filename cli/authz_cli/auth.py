"""`authz auth`: who is logged in on this machine, and logging out."""

from __future__ import annotations

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import json_option


@click.group("auth", epilog=EXIT_CODES)
def command() -> None:
    """Show who is logged in, and log out. To log in: authz login."""


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """List the logins of this machine, the latest first. Ends with 5 when there is none."""
    from authz_cli.auth_actions import show_logins

    show_logins(as_json=as_json)


@command.command("logout")
@click.option("--server", envvar="AUTHZ_SERVER", metavar="ADDRESS", help="Only the logins for this server.")
@click.option("--gateway", is_flag=True, help="Only that for the gateway; without it, both.")
@click.option("--all", "is_all", is_flag=True, help="Those for every server.")
def logout(server: str | None, gateway: bool, is_all: bool) -> None:
    """Forget logins, and give them back to the provider where it takes them.

    A token that was given out is good until it ends; `authz token revoke` ends it at once.
    """
    from authz_cli.auth_actions import end_logins

    if is_all and server:
        raise click.UsageError("--all is for every server: leave out --server")
    end_logins(server, is_gateway_only=gateway, is_all=is_all)
