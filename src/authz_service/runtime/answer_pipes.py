"""How the bytes of an answer are read and masked: pipes, and what came out of them in one step."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.restored import added
from authz_service.inspection.results import AnswerPipe, AnswerStep, RequestInspection
from authz_service.masking.seams import Scanner
from authz_service.runtime.judging import Route
from authz_service.runtime.rules import Rules


class UnreadPipe:
    """The answer of a path that passes unread: as it comes."""

    def feed(self, data: bytes) -> AnswerStep:
        """What came goes on."""
        return AnswerStep(release=data, found={}, masked={})

    def finish(self) -> AnswerStep:
        """The end."""
        return AnswerStep(release=b"", found={}, masked={}, is_last=True)


def pipe_for(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    *,
    status: int,
    headers: Mapping[str, str],
    scanner: Scanner,
    restores: bool,
) -> AnswerPipe:
    """What reads an answer of this status with these headers, and masks what `scanner` finds in it.

    With `restores` the values of the request go where their placeholders are. Raises `Unreadable` (502).
    """
    return answer_pipe(
        api=route.api,
        request=inspection.view,
        content_type=content_type_of(headers, status),
        scanner=scanner,
        masked_entities=rules.answer_masks,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
        is_error=status >= 400,
        placeholders=inspection.placeholders if restores else None,
    )


def content_type_of(headers: Mapping[str, str], status: int) -> str:
    """That of an answer, which has one; raises `Unreadable` (502)."""
    content_type = headers.get("content-type", "")
    if not content_type:
        message = f"The model server answered with status {status} and no content type."
        raise Unreadable(message, code="unreadable_answer", status=502)
    return content_type


def merged(first: AnswerStep, last: AnswerStep) -> AnswerStep:
    """Two steps as one, which is the last."""
    return AnswerStep(
        release=first.release + last.release,
        found=added_up(first.found, last.found),
        masked=added_up(first.masked, last.masked),
        usage=last.usage or first.usage,
        is_last=True,
        restored=added(first.restored or {}, last.restored or {}) or None,
        said=None if last.said is None else (first.said or b"") + last.said,
        kept=first.kept + last.kept,
    )


def added_up(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """Both counts together."""
    total = dict(left)
    for entity, n in right.items():
        total[entity] = total.get(entity, 0) + n
    return total
