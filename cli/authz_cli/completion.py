"""`authz completion`: the script that a shell reads to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from authz_cli.exits import Failure

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion for SHELL.

    \b
    bash: eval "$(authz completion bash)"      in ~/.bashrc
    zsh:  eval "$(authz completion zsh)"       in ~/.zshrc
    fish: authz completion fish | source       in ~/.config/fish/config.fish
    """
    completion = get_completion_class(shell)
    if completion is None:
        raise Failure(f"there is no completion for {shell}")
    root = ctx.find_root().command
    click.echo(completion(root, {}, "authz", "_AUTHZ_COMPLETE").source())
