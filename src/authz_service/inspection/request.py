"""Inspects a request body: what it asks, what was found in it, and the bytes that may go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from operator import eq

from authz_service.errors import Unreadable
from authz_service.inspection.bodies import Body, read_body
from authz_service.inspection.found import findings_count, found_in
from authz_service.inspection.request_edits import is_below, mask_found, redacted
from authz_service.inspection.results import RequestInspection
from authz_service.inspection.reversible import Reversing, numbering_order
from authz_service.masking.operators import Masks
from authz_service.masking.seams import Scanner
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.view.request import Path, RequestView


def inspect_request(
    body: bytes,
    *,
    api: ModelApi,
    operation: Operation,
    scanner: Scanner,
    masked_entities: frozenset[str],
    models: Mapping[str, str],
    noise: Collection[tuple[str, ...]],
    max_depth: int,
    head: Callable[[str], bytes] | None = None,
    content_type: str | None = None,
) -> RequestInspection:
    """Read a whole body, look for findings in every text of it, and mask `masked_entities`.

    `models` leads from each name and alias to the model's name. `head` gives, for that name, what else
    makes two requests the same; it stands before the body in the fingerprint. `content_type` is the
    request's, which a form needs.

    Raises `Unreadable`: what `read_body` and the adapter refuse, `model_not_found` (404),
    `model_not_named` where the dialect names none and there are several, and `unmaskable` for a finding
    that would have to be masked in an object's key. The message never quotes the body.
    """
    read = read_body(body, operation.takes, content_type=content_type, max_depth=max_depth)
    view = api.read_request(operation, read.document)
    model = _model(view.model, models)
    ignored = [
        path for path in noise if path and path[0] in api.noise_roots and not _holds_unread(path, view)
    ]
    reversing: Reversing | None = None
    if isinstance(masked_entities, Masks) and masked_entities.reversible:
        reversing = Reversing(masked_entities, scanner, partial(is_below, ignored))
        found = found_in(view, reversing.scanner)
        is_later = numbering_order(view)
        forward = mask_found(sorted(found, key=lambda s: is_later(s.field.path)), reversing.masks, reversing)
        reversing.check_joined(view, forward.edits)
    else:
        found = found_in(view, scanner)
        forward = mask_found(found, masked_entities)
    named = forward
    if not (forward.keys or read.can_rename):
        named = mask_found(found, scanner.entities)  # the record masks them all
    if named.keys:
        raise Unreadable(
            f"{named.unmaskable} was found in the name of a field, where it cannot be masked",
            code="unmaskable",
        )
    if view.model and view.model != model:
        forward.edits[_place_of_model(api, operation)] = model
    if view.model != model:
        view = replace(view, model=model)
    return RequestInspection(
        operation,
        view,
        findings_count(found),
        forward.counts,
        forward.applied_to(read),
        partial(redacted, read, found, scanner.entities) if found else body,
        partial(_fingerprint, read, ignored, head, model),
        partial(forward.canonical, ignored) if forward.edits else b"",
        reversing.placeholders if reversing is not None and reversing.placeholders.by_name else None,
    )


def _holds_unread(path: tuple[str, ...], view: RequestView) -> bool:
    """Whether something unread stands there, or around it: nobody has looked at it, so it is never noise."""
    return any(all(map(eq, unread.path, path)) for unread in view.unread)


def _model(named: str, models: Mapping[str, str]) -> str:
    """The model's own name, for the name or alias that a request gives; the only one, for none."""
    if named:
        model = models.get(named)
        if model is None:
            raise Unreadable(
                "The model that was asked for does not exist or you do not have access to it. "
                "GET /v1/models lists those that there are.",
                code="model_not_found",
                status=404,
            )
        return model
    only = set(models.values())
    if len(only) != 1:
        raise Unreadable(
            "This API names no model, and there is more than one here to choose from.", code="model_not_named"
        )
    return only.pop()


def _place_of_model(api: ModelApi, operation: Operation) -> Path:
    path = api.model_path(operation)
    if path is None:
        raise Unreadable(
            "The model was asked for by an alias, which cannot be replaced in a path; use its own name.",
            code="model_not_found",
            status=404,
        )
    return path


def _fingerprint(
    read: Body,
    noise: Collection[tuple[str, ...]],
    head: Callable[[str], bytes] | None,
    model: str,
    cleared: Collection[Path],
) -> bytes:
    body = read.canonical(noise, cleared)
    return body if head is None else head(model) + body
