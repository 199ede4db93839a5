"""The command `authz`: a table of nouns, each loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

from authz_cli.exits import EXIT_CODES, Exit, Failure, exit_for_status

DISTRIBUTION = "authz-service"


@dataclass(frozen=True, slots=True)
class Noun:
    """A module with a Click command named `command`, and the line that stands for it in `--help`."""

    module: str
    help: str


NOUNS = {
    "up": Noun("authz_service.commands.up", "Run Envoy and the service together on this machine."),
    "serve": Noun("authz_service.commands.serve", "Run the service alone, for an Envoy of your own."),
    "doctor": Noun("authz_service.commands.doctor", "Check this machine, the configuration and the models."),
    "login": Noun("authz_cli.log_in", "Log in at your organisation's provider."),
    "auth": Noun("authz_cli.auth", "Show who is logged in, and log out."),
    "token": Noun("authz_cli.token", "Print your token for the gateway, sign one, or withdraw anybody's."),
    "key": Noun("authz_cli.key", "Make, rotate and revoke API keys of the gateway's own."),
    "usage": Noun("authz_cli.usage", "See what was used, and what is left of the limits."),
    "hold": Noun("authz_cli.hold", "List, read, approve and reject requests that wait."),
    "grant": Noun("authz_cli.grant", "Let the same kind of request through for a while."),
    "notify": Noun("authz_cli.notify", "See what receivers were told of holds, and send it again."),
    "session": Noun("authz_cli.session", "Read the record of exchanges."),
    "record": Noun("authz_service.commands.record", "Purge, erase or keep what is on record."),
    "audit": Noun("authz_service.commands.audit", "Export and verify the record."),
    "policy": Noun("authz_service.commands.policy", "Check and test the rules of a configuration."),
    "envoy": Noun("authz_service.commands.envoy", "Render and validate the Envoy configuration."),
    "saml": Noun("authz_service.commands.saml", "Set up logins by SAML: our metadata for the provider."),
    "certs": Noun("authz_service.commands.certs", "Make certificates for Envoy and a service apart."),
    "store": Noun("authz_service.commands.store", "Bring the database's schema up to date, and back it up."),
    "completion": Noun("authz_cli.completion", "Print the shell completion for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and help; importing one is left until it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the module; None for a name that is not in the table."""
        noun = NOUNS.get(cmd_name)
        return None if noun is None else _load(noun)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table alone: --help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in NOUNS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table alone, like --help: Tab must not wait for imports."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=noun.help)
            for name, noun in NOUNS.items()
            if name.startswith(incomplete)
        ]

    def invoke(self, ctx: click.Context) -> object:
        """Every error that explains itself ends in one line and a documented exit code."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            failure = _explained(error)
            if failure is None:
                raise
            raise failure from error


def _load(noun: Noun) -> click.Command:
    try:
        command = importlib.import_module(noun.module).command
    except ModuleNotFoundError as error:
        if error.name != noun.module:
            raise
        raise Failure(f"this installation has no {noun.module}; install {DISTRIBUTION} again") from error
    assert isinstance(command, click.Command)
    return command


def _explained(error: Exception) -> Failure | None:
    # Not imported: the service's errors can only have been raised once its module is loaded.
    errors = sys.modules.get("authz_service.errors")
    if errors is None or not isinstance(error, errors.AuthzError):
        return None
    return Failure(str(error), exit_for_status(error.status))


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib import metadata

    try:
        click.echo(f"authz {metadata.version(DISTRIBUTION)}")
    except metadata.PackageNotFoundError as error:
        raise Failure(f"{DISTRIBUTION} is not installed here; run: make setup", Exit.USAGE) from error
    ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show it."
)
def cli() -> None:
    """Requests to language models wait for people, and what happened is on record.

    `hold` and `session` call a server's review API: that of AUTHZ_SERVER with AUTHZ_TOKEN, the one that you
    logged in at (`authz login`), or the one that runs on this machine with the data directory of --data-dir,
    AUTHZ_DATA_DIR or ./data.
    """


def main() -> None:
    """The entry point; ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character shows its escape
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="authz")


if __name__ == "__main__":
    main()
