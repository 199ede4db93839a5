"""What `authz hold edit` and `authz hold respond` do, once they are called."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

import click

from authz_api.v1 import holds_pb2
from authz_cli import terminal
from authz_cli.changes import change_lines
from authz_cli.conversation import conversation
from authz_cli.edit_form import Conversation, json_text
from authz_cli.edit_places import texts_of_turns
from authz_cli.exits import Exit, Failure
from authz_cli.hold_actions import print_page, require_shown_bytes
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import change_object, hold_with_body, state_word
from authz_cli.options import Target
from authz_cli.outline import Json, parse
from authz_cli.safe_text import safe_line

MOST_BYTES = 1_000_000
"""Of an edited request: what a call takes, but for what surrounds it."""
_UNTOLD = "The server is too old to say what it has masked in what you wrote; see: authz hold show"


@dataclass(frozen=True, slots=True)
class Edit:
    """How to edit: in the form `form`, or what `file` has. `is_sure` asks no question."""

    form: Literal["conversation", "json"]
    reason: str
    file: TextIO | None
    is_sure: bool


def edit(target: Target, name: str, how: Edit, *, as_json: bool) -> None:
    """Have what waits edited, show what has changed, ask, and put it in the place of that."""
    with connect(target) as client:
        found = client.hold(name)
        hold = found.hold
        if hold.HasField("answer"):
            _edit_answer(client, found, how, as_json=as_json)
            return
        _require_editable(hold)
        body = _edited(found, how)
        if parse(body) == parse(hold.forward):
            raise Failure("nothing was edited", Exit.REFUSED)
        preview = None if as_json else client.preview_edit(hold.id, digest=hold.digest, body=body)
        if not as_json:
            shown = (
                change_lines(preview.changes, terminal.width()) if preview else _changes(hold.forward, body)
            )
            click.echo("\n".join(shown))
        _ask(
            "Put this in the place of the request? Votes before it are void.",
            is_sure=how.is_sure,
            as_json=as_json,
        )
        answer = client.edit(hold.id, digest=hold.digest, body=body, reason=how.reason)
    _tell(answer, preview, as_json=as_json)


def respond(
    target: Target, name: str, text: TextIO | None, reason: str, *, is_sure: bool, as_json: bool
) -> None:
    """Have an answer written, ask, and put it in the place of the model's."""
    with connect(target) as client:
        found = client.hold(name)
        hold = found.hold
        _require_pending(hold)
        _require_unrevised(hold)
        if not as_json:
            print_page(found)
        said = text.read() if text else _in_editor("", extension=".txt")
        _ask("Answer in the place of the model? Votes before it are void.", is_sure=is_sure, as_json=as_json)
        answer = client.respond(hold.id, digest=hold.digest, text=said.rstrip("\n"), reason=reason)
    if as_json:
        click.echo(json.dumps(hold_with_body(answer.hold), indent=2))
        return
    for line in conversation(answer.hold.forward, width=terminal.width(), is_answer=True):
        click.echo(line)
    click.echo(_outcome(answer.hold, "answered"))


def _edit_answer(client: HoldClient, found: holds_pb2.GetHoldResponse, how: Edit, *, as_json: bool) -> None:
    """The same of the texts of a model's answer."""
    hold = found.hold
    _require_pending(hold)
    if hold.is_response:
        raise Failure(f"hold {hold.id} has a reviewer's answer; approve or reject that", Exit.CONFLICT)
    before = {text.name: text.text for text in found.texts}
    if not before:
        raise Failure(f"the answer of {hold.id} has no text to edit; approve or reject it", Exit.REFUSED)
    after = _edited_texts(before, how)
    changed = {name: text for name, text in after.items() if text != before.get(name)}
    if not changed:
        raise Failure("nothing was edited", Exit.REFUSED)
    preview = None if as_json else client.preview_edit(hold.id, digest=hold.digest, texts=changed)
    if not as_json:
        shown = change_lines(preview.changes, terminal.width()) if preview else _text_changes(before, changed)
        click.echo("\n".join(shown))
    question = "Put this in the place of the answer? Votes before it are void."
    _ask(question, is_sure=how.is_sure, as_json=as_json)
    answer = client.edit(hold.id, digest=hold.digest, texts=changed, reason=how.reason)
    if not as_json:
        for line in conversation(answer.hold.forward, width=terminal.width(), is_answer=True):
            click.echo(line)
    _tell(answer, preview, as_json=as_json)


def _tell(
    answer: holds_pb2.EditHoldResponse, preview: holds_pb2.PreviewEditResponse | None, *, as_json: bool
) -> None:
    """What waits now; and what is different in it where that is not what was shown."""
    if as_json:
        changes = [change_object(change) for change in answer.edit.changes]
        click.echo(json_text(hold_with_body(answer.hold) | {"changes": changes}, indent="  ", is_ascii=True))
        return
    if preview is None or preview.digest != answer.hold.digest:
        click.echo("What is different now:" if answer.HasField("edit") else _UNTOLD)
        for line in change_lines(answer.edit.changes, terminal.width()):
            click.echo(line)
    click.echo(_outcome(answer.hold, "edited"))


def _edited_texts(before: Mapping[str, str], how: Edit) -> dict[str, str]:
    document: Json = dict(before)
    if how.file is None and how.form == "conversation":
        form = Conversation(document, texts=[((name,), text) for name, text in before.items()])
        edited = form.read(_in_editor(form.text(), extension=".txt"))
    elif how.file is None:
        edited = parse(_in_editor(json_text(document, indent="  ") + "\n", extension=".json").encode())
    else:
        edited = parse(how.file.read().encode())
    if not isinstance(edited, dict):
        raise Failure("an edited answer is a JSON object of its texts by name", Exit.USAGE)
    texts = {name: text for name, text in edited.items() if isinstance(text, str)}
    if len(texts) < len(edited) or texts.keys() - before.keys():
        raise Failure(f"the texts of this answer are {', '.join(map(safe_line, before))}", Exit.USAGE)
    if sum(len(text.encode()) for text in texts.values()) > MOST_BYTES:
        raise Failure(f"an edited answer has at most {MOST_BYTES} bytes", Exit.USAGE)
    return texts


def _text_changes(before: Mapping[str, str], changed: Mapping[str, str]) -> list[str]:
    after = {**before, **changed}
    old, new = ([line for name in t for line in (name, *t[name].splitlines())] for t in (before, after))
    lines = difflib.unified_diff(old, new, "as it waits", "as edited", lineterm="")
    return [safe_line(line) for line in lines]


def _require_pending(hold: holds_pb2.Hold) -> None:
    require_shown_bytes(hold)
    if hold.state != holds_pb2.HOLD_STATE_PENDING:
        raise Failure(f"hold {hold.id} is {state_word(hold.state)}: too late", Exit.CONFLICT)


def _require_unrevised(hold: holds_pb2.Hold) -> None:
    if hold.is_edited or hold.is_response:
        done = "edited" if hold.is_edited else "answered"
        raise Failure(f"hold {hold.id} was {done} by a reviewer; approve or reject that", Exit.CONFLICT)


def _require_editable(hold: holds_pb2.Hold) -> None:
    _require_pending(hold)
    if parse(hold.forward) is None:
        raise Failure(f"the request of {hold.id} is no JSON, which alone can be edited; reject it instead")


def _edited(found: holds_pb2.GetHoldResponse, how: Edit) -> bytes:
    if how.file is not None:
        body = how.file.read().encode()
    else:
        document = parse(found.hold.forward)
        if how.form == "json":
            body = _in_editor(json_text(document, indent="  ") + "\n", extension=".json").encode()
        else:
            said = found.context.conversation
            is_told = found.context.HasField("conversation")
            form = Conversation(document, texts=texts_of_turns(said, document) if is_told else None)
            if form.is_empty:
                raise Failure("this request has no conversation; edit it with --as json", Exit.USAGE)
            body = json_text(form.read(_in_editor(form.text(), extension=".txt"))).encode()
    if parse(body) is None:
        raise Failure("what you wrote is no JSON document; nothing was sent", Exit.USAGE)
    if len(body) > MOST_BYTES:
        raise Failure(f"an edited request has at most {MOST_BYTES} bytes", Exit.USAGE)
    return body


def _in_editor(text: str, *, extension: str) -> str:
    if not terminal.is_interactive():
        raise Failure("there is no terminal to edit on; give the text with --file", Exit.USAGE)
    edited = click.edit(text, extension=extension)
    if edited is None:
        raise Failure("the editor saved nothing; nothing was sent", Exit.REFUSED)
    return edited


def _changes(before: bytes, after: bytes) -> list[str]:
    """A unified diff of the two as people read them, where the server tells none."""
    old, new = list(conversation(before)), list(conversation(after))
    lines = difflib.unified_diff(old, new, "as it waits", "as edited", lineterm="")
    return [safe_line(line) for line in lines]


def _ask(question: str, *, is_sure: bool, as_json: bool) -> None:
    if is_sure:
        return
    if as_json or not terminal.is_interactive():
        raise Failure("there is no terminal to ask on; say --yes", Exit.USAGE)
    if not click.confirm(f"\n{question}"):
        raise Failure("nothing was changed", Exit.REFUSED)


def _outcome(hold: holds_pb2.Hold, what: str) -> str:
    may = any(stage.editor_may_approve for stage in hold.stages)
    who = "you may vote as well" if may else "somebody else has to"
    return f"{hold.id} is {what} (sha256 {hold.digest[:12]}...), and waits for its votes: {who}"
