"""`authz saml`: what an identity provider is to know of us, and what we know of it."""

from __future__ import annotations

from pathlib import Path

import click

from authz_service.commands.options import data_dir_option
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir

FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group()
def command() -> None:
    """Set up logins by SAML (identity.saml of the configuration)."""


@command.command()
@click.argument("name", required=False)
@click.option("--config", type=FILE, help="An authz.yaml; without one, that of the data directory.")
@data_dir_option("Whose key it has; and whose configuration, without --config.")
def metadata(name: str | None, config: Path | None, data_dir: Path) -> None:
    """Print our metadata for the provider NAME, to be given to it; NAME may be left out if there is one.

    It has the key of the data directory, so run it where the service's is. The same is served at
    LOGIN-URL/saml/NAME/metadata.
    """
    from authz_service.cel.load import load_config
    from authz_service.config.identity_values import SamlProvider
    from authz_service.identity.saml.extra import require_saml

    path = config or data_dir / "authz.yaml"
    if not path.is_file():
        raise Misconfigured(f"there is no {path}; name a configuration with --config")
    loaded = load_config(path).config
    providers = {provider.name: provider for provider in loaded.identity.saml}
    found: SamlProvider | None = providers.get(name or "")
    if name is None and len(providers) == 1:
        (found,) = providers.values()
    require_saml(loaded)
    from authz_service.identity.saml.own_metadata import Own, metadata_document
    from authz_service.runtime.saml_serving import request_signer

    listener = loaded.logins.listener
    if found is None or listener is None:
        known = ", ".join(providers) or "none; add one to identity.saml"
        raise click.UsageError(f"name one of the providers of {path}: {known}")
    require_own(DataDir(data_dir.absolute()), path)
    signer = request_signer(DataDir.open(data_dir))
    document = metadata_document(Own.of(found, listener), signer, signs=found.sign_requests)
    click.echo(document.decode(), nl=False)


def require_own(data: DataDir, config: Path) -> None:
    """Raise `Misconfigured` where a key would be made that no service has.

    It is made where a service has started, or is to start by the configuration that lies there.
    """
    is_there = data.saml_requests.exists() or data.saml_key.exists()
    if not is_there and config.absolute().parent.resolve() != data.root.resolve():
        raise Misconfigured(
            f"no service with logins by SAML has started in {data.root}, so the metadata would have a key"
            " that no service signs with; run this where the service's data directory is (--data-dir), after"
            " its first start"
        )
