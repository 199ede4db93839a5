"""The command as a whole: fast help, lazy nouns, errors in one line."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from authz_cli.exits import EXIT_CODES, Exit
from authz_cli.main import NOUNS, cli
from authz_service.errors import AuthzError, Conflict, Forbidden, Misconfigured, NotFound, Unavailable

ROOT = Path(__file__).parents[2]
HEAVY = ("grpc", "google.protobuf", "sqlalchemy", "rich", "httpx", "jwt", "cryptography", "authz_service")


def modules_after(*words: str) -> set[str]:
    """What a fresh interpreter has imported after a command."""
    code = (
        "import sys\nfrom authz_cli.main import cli\n"
        f"try: cli({list(words)!r}, prog_name='authz')\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'cli'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words", [("--help",), ("hold", "--help"), ("session", "--help"), ("hold", "approve", "--help"), ()]
)
def test_help_imports_nothing_that_is_slow(words: tuple[str, ...]) -> None:
    assert modules_after(*words) & set(HEAVY) == set()


def test_help_names_every_noun_and_every_exit_code() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).stdout
    for name, noun in NOUNS.items():
        assert f"  {name} " in shown
        assert noun.help in shown
    for code in Exit:
        assert f"  {int(code)}  " in EXIT_CODES
        assert f"  {int(code)}  " in shown


@pytest.mark.parametrize("noun", ["hold", "session", "completion"])
def test_each_noun_has_help_of_its_own(noun: str) -> None:
    assert CliRunner().invoke(cli, [noun, "--help"]).exit_code == 0


def test_an_unknown_noun_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["holds"]).exit_code == Exit.USAGE


def test_a_noun_whose_module_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authz_service.commands.up", None)
    result = CliRunner().invoke(cli, ["up"])
    assert result.exit_code == Exit.REFUSED
    assert "install" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misconfigured("authz.yaml:3:1: unknown key\nauthz.yaml:5:1: unknown key"), Exit.USAGE),
        (Forbidden("no"), Exit.NOT_PERMITTED),
        (NotFound("no"), Exit.NOT_FOUND),
        (Conflict("no"), Exit.CONFLICT),
        (Unavailable("no"), Exit.AWAY),
        (AuthzError("no", code="x", status=418), Exit.REFUSED),
    ],
)
def test_errors_of_the_service_end_local_commands_with_their_words_and_code(
    monkeypatch: pytest.MonkeyPatch, error: AuthzError, code: Exit
) -> None:
    @click.command()
    def command() -> None:
        raise error

    module = types.ModuleType("authz_service.commands.doctor")
    module.command = command  # type: ignore[attr-defined]  # what the module of a noun has
    monkeypatch.setitem(sys.modules, "authz_service.commands.doctor", module)
    result = CliRunner().invoke(cli, ["doctor"])
    assert (result.exit_code, result.stderr) == (code, f"Error: {error}\n")


def test_a_bug_is_not_dressed_up_as_an_error_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise KeyError("bug")

    module = types.ModuleType("authz_service.commands.doctor")
    module.command = command  # type: ignore[attr-defined]  # what the module of a noun has
    monkeypatch.setitem(sys.modules, "authz_service.commands.doctor", module)
    assert isinstance(CliRunner().invoke(cli, ["doctor"]).exception, KeyError)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_what_the_shell_reads(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert (result.exit_code, "_AUTHZ_COMPLETE" in result.stdout) == (0, True)


def test_completion_of_nouns_imports_nothing() -> None:
    environment = {"_AUTHZ_COMPLETE": "zsh_complete", "COMP_WORDS": "authz ho", "COMP_CWORD": "1"}
    result = CliRunner().invoke(cli, [], prog_name="authz", env=environment)
    assert "hold" in result.stdout
    assert "session" not in result.stdout
