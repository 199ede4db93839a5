"""`authz record`: let go of what is on record, and keep what must be kept."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from authz_cli.options import Target, json_option, target_options
from authz_service.commands.options import config_option, data_dir_option

if TYPE_CHECKING:
    from authz_service.commands.record_remote import Remote
    from authz_service.commands.record_work import Place

DATA_DIR = "The service's data directory."
UNITS = {"h": 3600.0, "d": 86_400.0}

reason_option = click.option("--reason", default="", help="Why; it goes on record with your name.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class Age(click.ParamType[float]):
    """A whole number of days or hours, as seconds."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"([0-9]{1,6})([hd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age; write 90d or 12h", param, ctx)
        return int(found.group(1)) * UNITS[found.group(2)]


@dataclass(frozen=True, slots=True)
class Where:
    """On this machine, or at a server."""

    config: Path | None
    target: Target

    def place(self) -> Place | Remote:
        """The record to work on."""
        if self.target.server is not None:
            from authz_service.commands.record_remote import Remote

            return Remote(self.target)
        from authz_service.commands.record_work import Place

        return Place(self.config, self.target.data_dir)


def where_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --server, --ca, --data-dir and --config; the command gets them as `where`."""

    def command(target: Target, /, **kwargs: Any) -> None:
        function(where=Where(kwargs.pop("config"), target), **kwargs)

    functools.update_wrapper(command, function)
    return config_option(target_options(command))


@click.group()
def command() -> None:
    """Let go of what is on record, and keep what must be kept; each on record itself.

    They work on the store and need its keys, so run them where the service runs, as its user: an embedded
    SQLite store only while the service is stopped, a PostgreSQL store at any time. With --server the running
    service does it, for whom review.record_officers in its configuration names.
    """


@command.command()
@click.option(
    "--class",
    "retention",
    type=click.Choice(["originals", "payloads", "entries"]),
    default="payloads",
    show_default=True,
    help="What goes.",
)
@click.option("--older-than", type=Age(), metavar="AGE", help="Such as 30d; else what record.keep says.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@reason_option
@yes_option
@where_options
@json_option
def purge(
    retention: str,
    older_than: float | None,
    dry_run: bool,
    reason: str,
    yes: bool,
    where: Where,
    as_json: bool,
) -> None:
    """Take payloads or whole entries of sessions that ended before a time.

    originals are the values before masking alone; payloads have them with them, entries everything.
    Legal holds stand, and so do the leaf hashes: the rest of the record verifies as before.
    """
    from authz_service.audit.retention import Retention
    from authz_service.commands import record_work

    place = where.place()
    by = None if dry_run else record_work.order(reason)
    if not dry_run:
        _confirm(f"Take {retention} from the record? They cannot be brought back.", yes)
    taken = place.purge(Retention(retention), older_than=older_than, by=by, dry_run=dry_run)
    if as_json:
        told = {"entries": taken.entries, "payloads": taken.payloads, "bytes": taken.size, "dry_run": dry_run}
        click.echo(json.dumps(told))
    else:
        verb = "would be" if dry_run else "were"
        click.echo(f"{taken.payloads} payloads of {taken.entries} entries {verb} purged ({taken.size} bytes)")


@command.command()
@click.option("--subject", required=True, metavar="NAME", help="A subject, a person, or a pseudonym.")
@reason_option
@yes_option
@where_options
@json_option
def erase(subject: str, reason: str, yes: bool, where: Where, as_json: bool) -> None:
    """Erase one person by destroying their key: what they asked, were answered, and who they are.

    Refused while something of theirs is on legal hold, open, or waits for approval. With a PostgreSQL store
    it takes half a minute. Once it is ordered it is completed, also when this command is ended.
    """
    from authz_service.commands import record_work

    place = where.place()
    by = record_work.order(reason)
    person = place.person(subject)
    known = f" ({person.subject} of {person.issuer})" if person.subject else ""
    _confirm(f"Erase {person.pseudonym}{known}? Nothing of it can be brought back.", yes)
    erased = place.erase(person.pseudonym, by)
    if as_json:
        told = {
            "pseudonym": person.pseudonym,
            "sessions": erased.sessions,
            "payloads": erased.payloads,
            "votes": erased.votes,
            "keys": len(erased.keys),
            "damaged": erased.damaged,
        }
        click.echo(json.dumps(told))
    else:
        counts = f"{erased.sessions} sessions, {erased.payloads} payloads and {erased.votes} votes"
        click.echo(f"erased: {counts}; {len(erased.keys)} keys are destroyed")
        for what in erased.damaged:
            click.echo(f"damaged, and passed over: {what}; run: authz audit verify")


@command.command()
@click.argument("session", required=False)
@click.option("--subject", metavar="NAME", help="All of one person's: a subject, a person, or a pseudonym.")
@click.option("--lift", "lifted", metavar="ID", help="Lift the legal hold of this id.")
@click.option("--list", "listing", is_flag=True, help="List those in force.")
@reason_option
@where_options
@json_option
def keep(
    session: str | None,
    subject: str | None,
    lifted: str | None,
    listing: bool,
    reason: str,
    where: Where,
    as_json: bool,
) -> None:
    """Place a legal hold on a session or a person, list those in force, or lift one.

    What is on legal hold is neither purged nor erased: of a person their sessions, others' sessions that they
    voted on or read, and their searches, logins and exports.
    """
    from authz_service.commands import record_work

    if sum((session is not None, subject is not None, lifted is not None, listing)) != 1:
        raise click.UsageError("name one: SESSION, --subject, --lift or --list")
    place = where.place()
    if listing:
        _show_keeps(place, as_json=as_json)
        return
    by = record_work.order(reason)
    if lifted is not None:
        place.lift(lifted, by)
        click.echo(json.dumps({"lifted": lifted}) if as_json else f"lifted: {lifted}")
        return
    whose = None if subject is None else place.person(subject).pseudonym
    made = place.keep(session=session, subject=whose, by=by)
    click.echo(json.dumps({"id": made}) if as_json else f"kept: {made}")


@command.command("rotate-key")
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="The new master key, where the configuration names it (openssl rand -hex 32).",
)
@reason_option
@data_dir_option(DATA_DIR)
@config_option
def rotate_key(new_key: Path | None, reason: str, data_dir: Path, config: Path | None) -> None:
    """Wrap the keys of all people by a new master key; nothing of the record itself is touched.

    Stop the service first, and keep the new key in a backup of its own.
    """
    from authz_service.commands import record_work

    count = record_work.rotate_key(record_work.Place(config, data_dir), new_key, record_work.order(reason))
    click.echo(f"{count} keys are wrapped by the new master key")
    if new_key is not None:
        click.echo("name it in record.keys.master before the next start")


def _show_keeps(place: Place | Remote, *, as_json: bool) -> None:
    from authz_service.audit.entry import rfc3339

    found = place.keeps()
    if as_json:
        told = [
            {
                "id": kept.keep.id,
                "session": kept.keep.session,
                "subject": kept.keep.subject,
                "at": rfc3339(kept.keep.at),
                "by": kept.order.by,
                "reason": kept.order.reason,
            }
            for kept in found
        ]
        click.echo(json.dumps(told, indent=2))
        return
    for kept in found:
        what = kept.keep.session or f"all of {kept.keep.subject}"
        click.echo(
            f"{kept.keep.id}  {what}  {rfc3339(kept.keep.at)}  {kept.order.by!r}: {kept.order.reason!r}"
        )
    if not found:
        click.echo("no legal hold is in force")


def _confirm(question: str, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True)
