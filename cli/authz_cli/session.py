"""`authz session`: the record of exchanges."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options
from authz_cli.session_filters import Filters, filter_options
from authz_cli.session_why import before_masking_options

FORMATS = ("jsonl", "har", "otlp", "ocsf", "asciicast")


@click.group("session", epilog=EXIT_CODES)
def command() -> None:
    """Read the record of exchanges; for auditors.

    A SESSION is an id, or a beginning of one that no other session has. Each answer through the gateway
    carries it in its header x-authz-session.
    """


@command.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("-o", "output", type=click.Choice(("table", "wide", "json")), default="table", help="How.")
@json_option
@target_options
def list_sessions(
    target: Target, filters: Filters, limit: int, output: Literal["table", "wide", "json"], as_json: bool
) -> None:
    """Sessions, newest first. A search with --text is put on record."""
    from authz_cli.session_actions import show_list

    show_list(target, filters, limit=limit, output="json" if as_json else output)


@command.command("show")
@click.argument("session")
@click.option(
    "--raw",
    type=click.Choice(("request", "answer")),
    help="Only the bytes of this body, as they crossed; not to a terminal.",
)
@before_masking_options
@json_option
@target_options
def show(
    target: Target,
    session: str,
    raw: Literal["request", "answer"] | None,
    why: str | None,
    as_json: bool,
) -> None:
    """One session: who asked, who decided what and why, and the bodies as they crossed.

    Your reading is recorded. With --before-masking the bodies are those that came, as far as
    record.keep.originals has them kept.
    """
    from authz_cli.session_actions import show_one, show_raw

    if raw is not None:
        show_raw(target, session, raw, why=why)
    else:
        show_one(target, session, as_json=as_json, why=why)


@command.command("replay")
@click.argument("session")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.01, max=1000),
    default=1.0,
    show_default=True,
    help="Times as fast.",
)
@click.option(
    "--max-wait",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest wait, of a hold too; what is cut is said.",
)
@click.option("--what", type=click.Choice(("all", "prompt", "answer")), default="all", show_default=True)
@before_masking_options
@target_options
def replay(
    target: Target,
    session: str,
    speed: float,
    max_wait: float,
    what: Literal["all", "prompt", "answer"],
    why: str | None,
) -> None:
    """Play one exchange at its own pace: prompt, decision, wait, who decided, the answer as it came.

    As it crossed, after masking, unless --before-masking is said. Your reading is recorded.
    """
    from authz_cli.session_plays import play

    play(target, session, speed=speed, longest=max_wait, what=what, why=why)


@command.command("export")
@click.argument("session", default="")
@click.option("--format", "form", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@filter_options
@click.option(
    "--max-wait", type=click.FloatRange(min=0), default=10.0, metavar="SECONDS", help="asciicast: cut."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file (0600).")
@click.option("--otlp-endpoint", metavar="URL", help="otlp: send to a collector, such as http://host:4318.")
@before_masking_options
@target_options
def export(
    target: Target,
    session: str,
    form: str,
    filters: Filters,
    max_wait: float,
    output: Path | None,
    otlp_endpoint: str | None,
    why: str | None,
) -> None:
    """Write one SESSION, or all that the options choose, newest first, for other programs.

    jsonl has all that `show --json` has, har the bodies, otlp and ocsf neither prompt nor answer; asciicast
    is the replay of one SESSION. Each session's reading is recorded.
    """
    from authz_cli.session_export import export_sessions
    from authz_cli.session_plays import record

    if form == "asciicast" and session:
        record(target, session, longest=max_wait, what="all", output=output, why=why)
    elif form == "asciicast":
        raise click.UsageError("an asciicast is of one SESSION: name it")
    elif otlp_endpoint is not None and (form != "otlp" or output is not None):
        raise click.UsageError("--otlp-endpoint goes with --format otlp, and without -o")
    else:
        export_sessions(target, session, filters, form=form, output=output, endpoint=otlp_endpoint, why=why)


@command.command("tail")
@click.argument("session", default="")
@click.option("--limit", type=click.IntRange(min=1), help="End after so many entries.")
@json_option
@target_options
def tail(target: Target, session: str, limit: int | None, as_json: bool) -> None:
    """Follow the record as it grows, or one SESSION (its whole id) with what is asked and answered.

    Ctrl-C ends it. Over a break it goes on where it was. Following one session is recorded.
    """
    from authz_cli.session_tail import show_tail

    show_tail(target, session, limit=limit, as_json=as_json)


@command.command("kill")
@click.argument("session")
@click.option("--reason", required=True, help="Goes on record, and to the caller.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@target_options
def kill(target: Target, session: str, reason: str, yes: bool, as_json: bool) -> None:
    """End an exchange that still runs (SESSION is its whole id); for operators.

    Its caller gets an error with the reason. A request that waits for people is refused, and its hold
    ended with it, unless the same request waits in it again.
    """
    from authz_cli.session_actions import end

    end(target, session, reason=reason, is_sure=yes, as_json=as_json)
