"""Judges an answer that people have approved, by the rules of this moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from authz_service.core.acts import AnswerHead
from authz_service.core.events import AnswerJudged
from authz_service.core.stored_holds import Hold
from authz_service.inspection.answer import restoring_pipe
from authz_service.inspection.results import AnswerStep, RequestInspection
from authz_service.runtime.answer_pipes import content_type_of, merged, pipe_for
from authz_service.runtime.answers import decide_answer
from authz_service.runtime.judging import Route
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import NOT_MARKED, Threads
from authz_service.view.caller import Caller


async def judge_held(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    hold: Hold,
    *,
    caller: Caller,
    now: float,
    new_hold: str,
    threads: Threads,
    within: AbstractContextManager[None] = NOT_MARKED,
) -> AnswerJudged:
    """What the rules of `now` say to an answer that was approved; raises what the pipe does.

    Under other rules than those that it was held by it is read and masked again, and so is what a reviewer
    made of it or wrote in its place, whatever rules that was written under. Only then are the values restored
    that `inspection`, of the request that came with this exchange, has placeholders for. All this is done
    `within` that context, and not the waiting for a turn.
    """
    head = hold.answer
    if head is None:
        raise ValueError("a hold of a request has no answer to judge")
    step = AnswerStep(release=hold.forward, found=hold.findings, masked={}, is_last=True)
    if hold.revisions or hold.policy != rules.policy.digest:
        pipe = pipe_for(
            rules,
            route,
            inspection,
            status=head.status,
            headers=head.headers,
            scanner=rules.scanner,  # what is found goes on record, whatever the rules of now ask
            restores=False,
        )
        step = await threads.run(
            lambda: merged(pipe.feed(hold.forward), pipe.finish()),
            size=len(hold.forward),
            caller=caller.identity,
            within=within,
        )
        step = step._replace(found=_most(step.found, hold.findings))
    with within:
        decision = decide_answer(rules, caller, inspection, step.found, now)
    approvals = rules.approvals_of(decision.approvals)
    given = await _restored(rules, route, inspection, head, step.release, caller, threads, within)
    return AnswerJudged(
        step.release,
        decision,
        step.found,
        step.masked,
        new_hold,
        given.release,
        approvals,
        given.masked,
    )


async def _restored(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    head: AnswerHead,
    body: bytes,
    caller: Caller,
    threads: Threads,
    within: AbstractContextManager[None],
) -> AnswerStep:
    """A whole answer with the values of its request; its `masked` counts them."""
    if inspection.placeholders is None:
        return AnswerStep(body, {}, {})
    pipe = restoring_pipe(
        api=route.api,
        request=inspection.view,
        content_type=content_type_of(head.headers, head.status),
        placeholders=inspection.placeholders,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
        is_error=head.status >= 400,
    )
    return await threads.run(
        lambda: merged(pipe.feed(body), pipe.finish()),
        size=len(body),
        caller=caller.identity,
        within=within,
    )


def _most(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """What was masked before is found no more, and was found all the same."""
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in left.keys() | right.keys()}
