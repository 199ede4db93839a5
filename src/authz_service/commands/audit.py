"""`authz audit`: exports and verifies the record, on this machine and beside the running service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from authz_cli.options import Target, json_option, target_options
from authz_service.commands.options import config_option, data_dir_option
from authz_service.commands.progress import progress

FILE = click.Path(dir_okay=False, path_type=Path)
DATA_DIR = "Of the service whose record it is."
VERIFIED = """\b
Exit codes:
  0  everything fits
  1  something does not, and is named
  2  it could not be verified: no key, no whole export, another version
  6  the store is away"""


@click.group()
def command() -> None:
    """Export the record, verify it, and show what others need to do so."""


@command.command()
@data_dir_option(DATA_DIR)
@config_option
@json_option
def key(data_dir: Path, config: Path | None, as_json: bool) -> None:
    """Show the public key that the record is signed for, as name+hash+key (C2SP).

    Give it to whoever is to verify exports, by a way on which nobody can change it.
    """
    from authz_service.commands.audit_source import Source

    vkey = Source.of(config, data_dir).log_key().vkey
    click.echo(json.dumps({"name": vkey.name, "key": str(vkey)}) if as_json else str(vkey))


@command.command()
@data_dir_option(DATA_DIR)
@config_option
@json_option
def checkpoint(data_dir: Path, config: Path | None, as_json: bool) -> None:
    """Show the signed checkpoint of this moment.

    Whoever keeps it elsewhere can find later what was cut off or rewritten since.
    """
    from authz_service.audit.checkpoint import Checkpoint, note
    from authz_service.commands.audit_source import Source, signed_head

    source = Source.of(config, data_dir)
    name = source.log_key().vkey.name
    with source.reading() as reader:
        head = signed_head(reader)
        found = Checkpoint(name, head.size, bytes(head.root))
    text = note(found, name, bytes(head.signature))
    shown = json.dumps({"size": found.size, "root": found.root.hex(), "checkpoint": text})
    click.echo(shown if as_json else text, nl=as_json)


@command.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option("--from", "first", metavar="WHEN", help="An entry's number, or a time (2026-11-05T10:00Z).")
@click.option("--to", "last", metavar="WHEN", help="The last entry, or the time up to which entries go.")
@click.option("--no-payloads", is_flag=True, help="Leave out prompts, answers, names and reasons.")
@config_option
@json_option
@target_options
def export(
    target: Target,
    folder: Path,
    first: str | None,
    last: str | None,
    no_payloads: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Write the record into DIR, which must be new: entries, payloads, checkpoints, the key and a verifier.

    It is in the form of C2SP tlog-tiles, and is verified without this program by DIR/verify.py. With
    --from and --to the other entries go out as hashes only; bundles of 256 entries are whole.

    That payloads leave is put on record first: by the running service where it has the store for itself
    (for auditors; --server says where it listens), else here. If that fails nothing is exported.
    """
    from authz_service.commands.audit_export import Wanted, require_empty
    from authz_service.commands.audit_export import export as write
    from authz_service.commands.audit_range import entry_range
    from authz_service.commands.audit_reading import record_export
    from authz_service.commands.audit_source import Source, signed_head

    source = Source.of(config, target.data_dir)
    vkey = source.log_key().vkey
    require_empty(folder)
    with source.reading() as reader:
        start, end = entry_range(first, last, reader, signed_head(reader).size)
    if not no_payloads:
        size = record_export(config, target, start, None if last is None else end)
        end = size if last is None else end
    kept = source.data.checkpoints
    kept_bytes = kept.stat().st_size if kept.is_file() else 0
    with source.reading() as reader:
        wanted = Wanted(
            (str(vkey),),
            start,
            end,
            payloads=not no_payloads,
            checkpoints=kept,
            checkpoints_bytes=kept_bytes,
        )
        done = write(reader, folder, wanted, progress("exported"))
    if done.damaged:
        left_out = "payloads cannot be opened and are left out; which say: authz audit verify"
        click.echo(f"{done.damaged} {left_out}", err=True)
    if as_json:
        told = {"size": done.size, "entries": done.entries, "payloads": done.payloads}
        click.echo(json.dumps({**told, "damaged": done.damaged}))
    else:
        click.echo(f"{done.entries} of {done.size} entries and {done.payloads} payloads are in {folder}")
        click.echo(f"verify: python3 -I {folder / 'verify.py'} --key {vkey}")


@command.command()
@click.argument("sequence", type=click.IntRange(min=1), metavar="ENTRY")
@data_dir_option(DATA_DIR)
@config_option
def prove(sequence: int, data_dir: Path, config: Path | None) -> None:
    """Show that one entry is in the record, and nothing of the others (a C2SP tlog-proof).

    Whoever has the public key verifies it with `verify.py --proof FILE --key VKEY`.
    """
    from authz_service.commands.audit_prove import prove as proof_of
    from authz_service.commands.audit_source import Source, signed_head

    source = Source.of(config, data_dir)
    name = source.log_key().vkey.name
    with source.reading() as reader:
        signed_head(reader)
        click.echo(proof_of(reader, sequence, name=name), nl=False)


@command.command(epilog=VERIFIED)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]", required=False)
@click.option("--live", is_flag=True, help="The store itself, which is what is verified without DIR.")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="A public key that you were given.")
@click.option(
    "--checkpoint", "files", multiple=True, type=FILE, metavar="FILE", help="A checkpoint kept elsewhere."
)
@click.option("--no-payloads", is_flag=True, help="Live only: read no payloads, which takes less time.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes share the work; by default as many as its size is worth, at most 8.",
)
@data_dir_option(DATA_DIR)
@config_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    folder: Path | None,
    live: bool,
    keys: Sequence[str],
    files: Sequence[Path],
    no_payloads: bool,
    jobs: int | None,
    data_dir: Path,
    config: Path | None,
    as_json: bool,
) -> None:
    """Verify an export in DIR, or the live store, and name every record that is not as it was recorded.

    Everything is computed anew from the bytes of the entries: the tree, the signature, the payloads'
    digests, and in a live store every column that lists and searches use. Checkpoints that were kept are
    compared, those of the data directory by themselves.
    A large record is verified by several processes.
    """
    if folder is not None and live:
        raise click.UsageError("name DIR or --live, not both")
    if folder is not None:
        ctx.exit(_verify_export(folder, keys, files, jobs, as_json=as_json))
    from authz_service.commands.audit_verify import show, verify_live

    report = verify_live(config, data_dir, keys, files, jobs, with_payloads=not no_payloads)
    show(report, as_json=as_json)
    ctx.exit(1 if report.count else 0)


@command.command()
@click.option("--reason", required=True, help="Why; it goes on record with your name on this machine.")
@data_dir_option(DATA_DIR)
@config_option
@json_option
def accept(reason: str, data_dir: Path, config: Path | None, as_json: bool) -> None:
    """Go on with a record that is not the one that was signed, as after a backup was restored.

    The service refuses to start on such a record. Stop it, find out what happened (`authz audit verify`), and
    keep a copy of the database: this signs the record as it is, with an entry that says what was found, what
    the last checkpoint counted, and why it is accepted. Later verifications show it.
    """
    from authz_service.cel.load import load_config
    from authz_service.commands.audit_accept import accept as accept_record
    from authz_service.commands.audit_source import configuration
    from authz_service.keys.data_dir import DataDir

    data = DataDir.open(data_dir)
    done = accept_record(load_config(configuration(config, data)).config, data, reason=reason)
    if as_json:
        click.echo(json.dumps({"found": done.found, "kept": done.kept}))
    else:
        click.echo(f"accepted {done.found} entries; the last checkpoint counted {done.kept}")


@command.command("rotate-key")
@click.option("--reason", required=True, help="Why; it goes on record with your name on this machine.")
@data_dir_option(DATA_DIR)
@config_option
@json_option
def rotate_key(reason: str, data_dir: Path, config: Path | None, as_json: bool) -> None:
    """Sign the record with a new key from here on, and show its public half.

    Stop the service first. The old key signs for the new one in an entry, so that whoever holds the old
    public key can verify what comes after; then the old private key is gone. Machines that share the record
    need the new log.key.
    """
    from authz_service.cel.load import load_config
    from authz_service.commands.audit_rotate import rotate
    from authz_service.commands.audit_source import configuration
    from authz_service.keys.data_dir import DataDir

    data = DataDir.open(data_dir)
    vkey = rotate(load_config(configuration(config, data)).config, data, reason=reason)
    click.echo(json.dumps({"name": vkey.name, "key": str(vkey)}) if as_json else str(vkey))


def _verify_export(
    folder: Path, keys: Sequence[str], files: Sequence[Path], jobs: int | None, *, as_json: bool
) -> int:
    from authz_service.errors import Misconfigured
    from authz_verifier.errors import CannotVerify
    from authz_verifier.report import show
    from authz_verifier.verification import verify

    try:
        report = verify(folder, keys, files, progress("verified"), jobs)
    except CannotVerify as error:
        raise Misconfigured(f"cannot verify: {error}") from error
    show(report, as_json=as_json)
    return 1 if report.count else 0
