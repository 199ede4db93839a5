"""`authz login`: tokens for the review API or for the gateway, by a login at the organisation's provider."""

from __future__ import annotations

from pathlib import Path

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options


@click.command("login", epilog=EXIT_CODES)
@click.option(
    "--gateway", is_flag=True, help="For `authz token`, which applications call; not for reviewing."
)
@click.option(
    "--no-browser", is_flag=True, help="Show a code, to be typed into a browser on another machine."
)
@click.option("--saml", metavar="NAME", help="At the provider that identity.saml of the server names so.")
@click.option("--issuer", metavar="URL", help="The provider. Without it, the server says which.")
@click.option("--client-id", metavar="ID", help="Our name at the provider, with --issuer.")
@click.option(
    "--client-secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For providers that give native apps a secret (Google).",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="WORD",
    help="Default: openid offline_access. May be repeated.",
)
@click.option("--resource", default="", metavar="NAME", help="The audience to ask for (RFC 8707).")
@click.option("--id-token", is_flag=True, help="Show the ID token, where access tokens are opaque (Google).")
@click.option(
    "--redirect",
    metavar="URL",
    help="Where the browser comes back to, if the provider wants a port (default: http://127.0.0.1/callback).",
)
@click.option(
    "--storage",
    type=click.Choice(["auto", "keyring", "file"]),
    default="auto",
    show_default=True,
    help="The keyring needs the extra: pip install 'authz-service[keyring]'.",
)
@json_option
@target_options
def command(
    target: Target,
    gateway: bool,
    no_browser: bool,
    saml: str | None,
    issuer: str | None,
    client_id: str | None,
    client_secret_file: Path | None,
    scopes: tuple[str, ...],
    resource: str,
    id_token: bool,
    redirect: str | None,
    storage: str,
    as_json: bool,
) -> None:
    """Log in at your organisation's provider; commands use the login until it ends.

    \b
      authz login --server review.example.com:8443
      authz login --gateway
      authz login --saml corp --server review.example.com:8443
      export OPENAI_API_KEY=$(authz token)
    """
    from authz_cli.log_in_actions import Wish, log_in_and_keep
    from authz_cli.oauth.client import REDIRECT, SCOPES, Client, Use

    said = scopes or resource or id_token or client_id
    if issuer is None and said:
        raise click.UsageError("--client-id, --scope, --resource and --id-token go with --issuer")
    if issuer is not None and not client_id:
        raise click.UsageError("--issuer needs --client-id: the name of the client at the provider")
    if saml is not None and (issuer is not None or no_browser):
        # SAML has no flow for a browser elsewhere (RFC 8628 is OAuth's).
        raise click.UsageError("--saml goes with neither --issuer nor --no-browser")
    client = None
    if issuer is not None:
        client = Client(issuer, client_id or "", scopes or SCOPES, resource, id_token, redirect or REDIRECT)
    use = Use.GATEWAY if gateway else Use.REVIEW
    wish = Wish(
        use,
        client,
        redirect or "",
        client_secret_file,
        has_browser=not no_browser,
        storage=storage,
        saml=saml,
    )
    log_in_and_keep(target, wish, as_json=as_json)
