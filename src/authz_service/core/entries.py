"""The entries of an exchange: what each step puts on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.retention import ORIGINAL
from authz_service.core.kept import NAMES, OWNER
from authz_service.core.refusals import Refusal
from authz_service.core.request import Request
from authz_service.policy.decision import Decision, Effect
from authz_service.view.answer import Usage
from authz_service.view.caller import API_KEYS, Caller
from authz_service.view.unread import Unread

_EFFECTS = {effect: effect.name.lower() for effect in Effect}


def received(
    request: Request,
    *,
    size: int,
    model: str | None = None,
    tokens: int | None = None,
    budgets: tuple[str, ...] = (),
) -> EntryDraft:
    """A verified caller's request came. `size` is that of its body in bytes.

    With an API key `key` is its id: several keys share a name, and one of them may have leaked. Where
    limits count it, `tokens` and `bytes` are what it counts for until its end, `model` is whom it asks, and
    `budgets` are those of groups that it counts for too.
    """
    data: dict[str, Scalar | list[Scalar]] = {
        "api": request.api,
        "caller": request.pseudonym,
        "method": request.method,
        "path": request.path,
        "size": size,
    }
    if request.caller.issuer == API_KEYS:
        data["key"] = str(request.caller.claims["key"])
    if tokens is not None:
        data |= {"model": model, "tokens": tokens, "bytes": size}
    if budgets:
        data["budgets"] = [*budgets]
    return EntryDraft(
        Kind.REQUEST_RECEIVED,
        request.session,
        data,
        {"caller": caller_payload(request.caller), "headers": _json(dict(request.headers))},
        request.pseudonym,
    )


def with_original(received: EntryDraft, body: bytes | None) -> EntryDraft:
    """The same where values before masking are kept; `body` as it came, None where nothing was masked."""
    payloads = received.payloads if body is None else {**received.payloads, ORIGINAL: body}
    return replace(received, data={**received.data, "originals": True}, payloads=payloads)


def decided(
    request: Request,
    decision: Decision,
    *,
    model: str,
    findings: Mapping[str, int],
    unread: Sequence[Unread] = (),
    body: bytes | None = None,
) -> EntryDraft:
    """The rules decided. `body` is what to keep of a request that goes nowhere.

    `unread` are the values that are no text: kinds, types, sizes and digests, not their content.
    """
    payloads = {} if body is None else {"body": body}
    if unread:
        payloads["unread"] = _json([value.summary() for value in unread])
    data = _decision(decision, findings)
    data["model"] = model
    return EntryDraft(Kind.REQUEST_DECIDED, request.session, data, payloads, request.pseudonym)


def released(
    request: Request, *, model: str, body: bytes, hold: str | None = None, is_edited: bool = False
) -> EntryDraft:
    """`body` is about to go to the model; with `is_edited` it is what a reviewer made of the request."""
    data: dict[str, Scalar] = {"model": model, "hold": hold}
    if is_edited:
        data["edited"] = True
    return EntryDraft(Kind.REQUEST_RELEASED, request.session, data, {"body": body}, request.pseudonym)


def refused(
    request: Request, *, code: str, status: int, body: bytes | None = None, limit: str = "", model: str = ""
) -> EntryDraft:
    """The request goes nowhere; the caller is told `code` with `status`.

    `limit` is the one reached, `model` the one that was asked for where a scope was to have it.
    """
    payloads = {} if body is None else {"body": body}
    data: dict[str, Scalar] = {"code": code, "status": status}
    if limit:
        data["limit"] = limit
    if model:
        data["model"] = model
    return EntryDraft(Kind.REQUEST_REFUSED, request.session, data, payloads, request.pseudonym)


def refused_again(session: str, refusal: Refusal, number: int) -> EntryDraft:
    """Equal to the refusal of `session`, `number` more requests of its caller were refused soon after."""
    data: dict[str, Scalar] = {"code": refusal.code, "count": number}
    if refusal.limit:
        data["limit"] = refusal.limit
    return EntryDraft(Kind.REQUEST_REFUSED_AGAIN, session, data)


def answer_started(request: Request, *, status: int, headers: Mapping[str, str]) -> EntryDraft:
    """The model began to answer; `headers` are those that go to the caller."""
    data: dict[str, Scalar | dict[str, Scalar]] = {"status": status, "headers": dict(headers)}
    return EntryDraft(Kind.ANSWER_STARTED, request.session, data)


def answer_decided(
    request: Request, decision: Decision, findings: Mapping[str, int], original: bytes | None = None
) -> EntryDraft:
    """A rule for answers judged what was found so far.

    `original` is the whole answer as the model sent it, where it is to be held and something was masked.
    """
    payloads = {} if original is None else {ORIGINAL: original}
    data = _decision(decision, findings)
    return EntryDraft(Kind.ANSWER_DECIDED, request.session, data, payloads, request.pseudonym)


def answer_kept(request: Request, names: Sequence[str]) -> EntryDraft:
    """The model server keeps what has these names, and it is the caller's; both are pseudonyms."""
    data: dict[str, Scalar | list[Scalar]] = {OWNER: request.pseudonym, NAMES: [*dict.fromkeys(names)]}
    return EntryDraft(Kind.ANSWER_KEPT, request.session, data)


def answer_released(
    request: Request,
    *,
    body: bytes,
    masked: Mapping[str, int],
    restored: Mapping[str, int] | None = None,
    hold: str | None = None,
    original: bytes | None = None,
    is_response: bool = False,
    is_edited: bool = False,
) -> EntryDraft:
    """`body` is about to go to the caller; `masked` counts what was taken out of it.

    `restored` counts the values of the request that stand in it where the model said their placeholders.
    `original` is what the model sent since the segment before, where that is kept and not the same.
    With `is_response` a reviewer wrote it, with `is_edited` it is what one made of the model's.
    """
    payloads = {"body": body} if original is None else {"body": body, ORIGINAL: original}
    data: dict[str, Scalar | dict[str, Scalar]] = {"masked": dict(masked)}
    if restored:
        data["restored"] = dict(restored)
    if hold is not None:
        data["hold"] = hold
    if is_response:
        data["responded"] = True
    if is_edited:
        data["edited"] = True
    return EntryDraft(Kind.ANSWER_RELEASED, request.session, {**data}, payloads, request.pseudonym)


def answer_refused(request: Request, *, code: str, original: bytes | None = None) -> EntryDraft:
    """Nothing more of the answer goes to the caller. `original` is what the model sent of it, if kept."""
    payloads = {} if original is None else {ORIGINAL: original}
    return EntryDraft(Kind.ANSWER_REFUSED, request.session, {"code": code}, payloads, request.pseudonym)


def ended(
    request: Request, outcome: str, usage: Usage | None = None, tokens: int | None = None, *, size: int = 0
) -> EntryDraft:
    """The exchange is over for the gateway; `outcome` becomes the session's status.

    `tokens` is what limits count it for, where that is not the model's own count; `size` are the bytes of
    its bodies that are on record.
    """
    data: dict[str, Scalar] = {"outcome": outcome, "bytes": size}
    if usage is not None:
        data["prompt_tokens"] = usage.prompt_tokens
        data["completion_tokens"] = usage.completion_tokens
    if tokens is not None:
        data["tokens"] = tokens
    return EntryDraft(Kind.EXCHANGE_ENDED, request.session, data)


def exported(first: int, last: int | None, *, payloads: int, reader: str, name: bytes) -> EntryDraft:
    """That payloads of these entries are about to leave; `last` is None for all up to this one.

    `payloads` is how many there were just before (`SqlStore.payloads_of`), `reader` the pseudonym of who
    takes them, `name` the payload that says who that is.
    """
    data = {"first": first, "last": last, "payloads": payloads, "reader": reader}
    return EntryDraft(Kind.RECORD_EXPORTED, data=data, payloads={"reader": name}, subject=reader)


def caller_payload(caller: Caller) -> bytes:
    """The caller as a payload: entries themselves carry pseudonyms only."""
    identity = {
        "issuer": caller.issuer,
        "subject": caller.subject,
        "groups": list(caller.groups),
        "groups_complete": caller.groups_complete,
        "person": caller.person,
    }
    return _json(identity)


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _decision(
    decision: Decision, findings: Mapping[str, int]
) -> dict[str, Scalar | list[Scalar] | dict[str, Scalar]]:
    matched: list[Scalar] = []
    shadow: list[Scalar] = []
    errors: list[Scalar] = []
    for outcome in decision.outcomes:
        if outcome.matched:
            (shadow if outcome.shadow else matched).append(outcome.rule)
        if outcome.error is not None:
            errors.append(outcome.rule)
    return {
        "effect": _EFFECTS[decision.effect],
        "rule": decision.rule,
        "policy": decision.policy,
        "rules": matched,
        "shadow": shadow,
        "errors": errors,
        "findings": dict(findings),
    }
