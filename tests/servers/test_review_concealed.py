"""What is concealed from a reviewer is in nothing that the review API tells them, and goes out still."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.concealed_desk import Desk, Failing, chat, desk_of, rules_in
from tests.servers.grant_review import TRAITS, refused, serving, wish
from tests.servers.grant_review import draft as grant_draft
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import draft
from tests.servers.review_people import SECURITY
from tests.servers.stored_review import as_, served

from authz_api.v1 import grants_pb2
from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.acts import AnswerHead
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.runtime.concealing import NOT_READ, Concealing
from authz_service.runtime.threads import Threads

MAIL, CARD = "ann.other@mail.example", "4111 1111 1111 1111"
BODY = chat(f"Please write to {MAIL} about the refund.", f"The card is {CARD} and the id E-123456 today.")
JSON = AnswerHead(200, {"content-type": "application/json"})
SSE = AnswerHead(200, {"content-type": "text/event-stream"})


@pytest.fixture(scope="module")
def desk(thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(thread, tmp_path_factory.mktemp("concealed")) as desk:
        yield desk
        for secret in (MAIL, CARD):
            assert not [told for told in desk.seen if secret.encode() in told]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def edit(desk: Desk, hold: str, body: bytes, **more: Any) -> pb.EditHoldRequest:
    return pb.EditHoldRequest(id=hold, digest=digest(desk.bytes_of(hold)), body=body, **more)


def answer(content: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "model": "llama", "choices": [choice]}
    ).encode()


def streamed(*pieces: str) -> bytes:
    events = [
        {"id": "c", "model": "llama", "choices": [{"index": 0, "delta": {"content": piece}}]}
        for piece in pieces
    ]
    return (
        b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    )


def test_one_reviewer_sees_the_values_and_another_placeholders_of_the_same_digest(desk: Desk) -> None:
    hold = desk.hold(BODY)
    whole, seen = desk.get(hold, person="rita"), desk.get(hold)
    assert (whole.hold.forward, dict(whole.hold.concealed)) == (BODY, {})
    assert dict(seen.hold.concealed) == {"EMAIL_ADDRESS": 1, "CREDIT_CARD": 1}
    expected = BODY.replace(MAIL.encode(), b"<EMAIL_ADDRESS_1>").replace(CARD.encode(), b"<CREDIT_CARD_1>")
    assert seen.hold.forward == expected
    assert whole.hold.digest == seen.hold.digest == digest(BODY)
    rows = [row.text for turn in seen.context.conversation.turns for part in turn.parts for row in part.rows]
    assert rows[0] == "Please write to <EMAIL_ADDRESS_1> about the refund."
    assert [found.entity for found in seen.context.found] == ["EMPLOYEE_ID"]
    kinds = [entry.kind for entry in desk.thread.run(desk.store.entries(seen.hold.session))]
    assert kinds.count("session.read") == 2


def test_a_vote_of_the_reviewer_who_saw_placeholders_is_for_the_true_bytes(desk: Desk) -> None:
    hold = desk.hold(BODY)
    seen = desk.get(hold).hold
    desk.ask("ApproveHold", pb.ApproveHoldRequest(id=hold, digest=seen.digest))
    assert (desk.state_of(hold), desk.bytes_of(hold)) == (HoldState.APPROVED, BODY)


def test_what_other_reviewers_write_is_concealed_wherever_it_is_told(desk: Desk) -> None:
    hold = desk.hold(BODY)
    said = f"I know {MAIL}, it is fine."
    desk.ask("CommentHold", pb.CommentHoldRequest(id=hold, text=said), person="rita")
    desk.ask("ClaimHold", pb.ClaimHoldRequest(id=hold))
    shown = desk.ask("ListHolds", pb.ListHoldsRequest(id_prefix=hold)).holds[0]
    assert shown.acts[0].text == "I know [EMAIL_ADDRESS], it is fine."
    assert desk.get(hold, person="rita").hold.acts[0].text == said
    watching: Any = desk.api.WatchHolds(pb.WatchHoldsRequest(), metadata=as_("cora"))
    while not (told := next(watching)).HasField("snapshot_done"):
        desk.seen.append(told.SerializeToString())
    watching.cancel()
    desk.ask(
        "RejectHold",
        pb.RejectHoldRequest(id=hold, digest=digest(BODY), reason=f"not to {MAIL}"),
        person="rob",
    )
    assert desk.get(hold).hold.votes[0].reason == "not to [EMAIL_ADDRESS]"
    decide = pb.DecideHoldsRequest(
        holds=[pb.Shown(id=hold, digest=digest(BODY))], verdict=pb.VERDICT_REJECT, reason="x"
    )
    desk.ask("DecideHolds", decide)


def test_decisions_before_are_told_without_what_is_concealed(desk: Desk) -> None:
    first = desk.hold(BODY)
    desk.ask(
        "ApproveHold",
        pb.ApproveHoldRequest(id=first, digest=digest(BODY), reason=f"{MAIL} asked."),
        person="rita",
    )
    again = desk.get(desk.hold(BODY))
    told = {earlier.id: earlier for earlier in again.context.earlier}
    assert (told[first].likeness, told[first].votes[0].reason) == (100, "[EMAIL_ADDRESS] asked.")
    assert [turn.was_approved for turn in again.context.conversation.turns] == [True, True]


def test_an_edit_elsewhere_keeps_the_true_bytes_and_is_told_without_them(desk: Desk) -> None:
    hold = desk.hold(BODY)
    shown = desk.get(hold).hold.forward
    asked = edit(desk, hold, shown.replace(b"about the refund", b"about the big refund"), reason="why not")
    preview = desk.ask("PreviewEdit", asked)
    assert [(c.path, c.before.text, c.after.text) for c in preview.changes] == [
        (
            "/messages/0/content",
            "Please write to <EMAIL_ADDRESS_1> about the refund.",
            "Please write to <EMAIL_ADDRESS_1> about the big refund.",
        ),
        (
            "/messages/1/content",
            "The card is <CREDIT_CARD_1> and the id E-123456 today.",
            "The card is <CREDIT_CARD_1> and the id [EMPLOYEE_ID] today.",
        ),
    ]
    assert preview.forward == shown.replace(b"E-123456", b"[EMPLOYEE_ID]").replace(
        b"the refund", b"the big refund"
    )
    assert dict(preview.concealed) == {"EMAIL_ADDRESS": 1, "CREDIT_CARD": 1}
    made = desk.ask("EditHold", asked)
    expected = BODY.replace(b"the refund", b"the big refund").replace(b"E-123456", b"[EMPLOYEE_ID]")
    assert desk.bytes_of(hold) == expected
    assert made.hold.digest == preview.digest == digest(expected)
    assert MAIL.encode() not in made.hold.forward
    assert (list(made.edit.changes), made.edit.missing) == ([], "values in it are concealed from you")
    assert [e.missing for e in desk.get(hold).edits] == ["values in it are concealed from you"]
    (told,) = desk.get(hold, person="rita").edits
    assert MAIL in told.changes[0].before.text


def test_an_edited_request_is_compared_with_none_before(desk: Desk) -> None:
    hold = desk.hold(BODY)
    assert desk.get(hold).context.earlier
    desk.ask("EditHold", edit(desk, hold, desk.get(hold).hold.forward.replace(b"refund", b"return")))
    context = desk.get(hold).context
    assert (list(context.earlier), context.HasField("approved_before"), context.is_partial) == (
        [],
        False,
        True,
    )
    assert desk.get(hold, person="rita").context.earlier


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda shown: shown.replace(b"<EMAIL_ADDRESS_1>", b"you"), "<EMAIL_ADDRESS_1> must stay"),
        (lambda shown: shown.replace(b"to <EMAIL", b"to 1<EMAIL"), "the words beside <EMAIL_ADDRESS_1>"),
        (lambda shown: shown.replace(b"today", b"<EMAIL_ADDRESS_1>"), "<EMAIL_ADDRESS_1> stands for"),
        # Neither a right guess nor a wrong one is told from the other:
        (lambda shown: shown.replace(b"today", f"for {MAIL}".encode()), "something else would be concealed"),
        (
            lambda shown: shown.replace(b"today", b"for no.other@mail.example"),
            "something else would be concealed",
        ),
    ],
)
def test_what_is_concealed_can_be_neither_edited_nor_guessed(
    desk: Desk, change: Callable[[bytes], bytes], why: str
) -> None:
    hold = desk.hold(BODY)
    asked = edit(desk, hold, change(desk.get(hold).hold.forward))
    for verb in ("PreviewEdit", "EditHold"):
        code, words = desk.refusal(verb, asked)
        assert code == "edit_concealed"
        assert why in words
    assert desk.bytes_of(hold) == BODY
    old = pb.EditHoldRequest(id=hold, digest="0" * 64, body=b"{}")
    assert desk.refusal("EditHold", old)[0] == "digest_changed"


@pytest.mark.parametrize(
    "body", [chat("hi", metadata={MAIL: "x"}), b"no json at all", chat("hi", seed=4111111111111111)]
)
def test_what_cannot_be_concealed_is_not_shown_and_can_be_rejected(desk: Desk, body: bytes) -> None:
    hold = desk.hold(body)
    code, words = desk.refusal("GetHold", pb.GetHoldRequest(id=hold))
    assert code == "not_concealable"
    assert "`review.conceal` exempts can look" in words
    assert desk.get(hold, person="rita").hold.forward == body
    desk.ask("RejectHold", pb.RejectHoldRequest(id=hold, digest=digest(body), reason="no"))
    assert desk.state_of(hold) is HoldState.REJECTED


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (answer(f"Write to {MAIL} about {CARD} soon."), JSON),
        (streamed("Write to ann.oth", "er@mail.exam", "ple about 4111 11", "11 1111 1111 soon."), SSE),
    ],
)
def test_a_held_answer_is_concealed_and_edited_around_its_values(
    desk: Desk, body: bytes, head: AnswerHead
) -> None:
    hold = desk.hold(body, head)
    seen = desk.get(hold)
    assert dict(seen.hold.concealed) == {"EMAIL_ADDRESS": 1, "CREDIT_CARD": 1}
    (text,) = seen.texts
    assert text.text == "Write to <EMAIL_ADDRESS_1> about <CREDIT_CARD_1> soon."
    assert not [found for said in seen.context.in_answer for found in said.found]
    whole = desk.get(hold, person="rita")
    assert whole.texts[0].text == f"Write to {MAIL} about {CARD} soon."

    def asked(said: str) -> pb.EditHoldRequest:
        return edit(desk, hold, b"", texts=[pb.AnswerText(name=text.name, text=said)])

    wrong = {
        "Write to me.": "<EMAIL_ADDRESS_1> must stay",
        "Write to <EMAIL_ADDRESS_1> about 9<CREDIT_CARD_1> soon.": "the words beside",
        f"{text.text} Or {MAIL} then.": "something else would be concealed",
        f"{text.text} Or <EMAIL_ADDRESS_1>": "once too often",
    }
    for said, why in wrong.items():
        code, words = desk.refusal("PreviewEdit", asked(said))
        assert (code, why in words) == ("edit_concealed", True)
    preview = desk.ask("PreviewEdit", asked(f"{text.text} Bye."))
    assert preview.changes[0].after.text == f"{text.text} Bye."
    desk.ask("EditHold", asked(f"{text.text} Bye."))
    assert desk.get(hold, person="rita").texts[0].text == f"Write to {MAIL} about {CARD} soon. Bye."
    assert desk.get(hold).texts[0].text == f"{text.text} Bye."


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (answer(f"To {MAIL} and <EMAIL_ADDRESS_1> it goes."), JSON),
        (streamed("To ann.other@ma", "il.example and <EMAIL", "_ADDRESS_1> it goes."), SSE),
    ],
)
def test_what_a_model_wrote_like_a_placeholder_cannot_be_taken_for_one(
    desk: Desk, body: bytes, head: AnswerHead
) -> None:
    hold = desk.hold(body, head)
    seen = desk.get(hold)
    (text,) = seen.texts
    assert text.text == "To <EMAIL_ADDRESS_1> and <PLACEHOLDER_1> it goes."
    assert dict(seen.hold.concealed) == {"EMAIL_ADDRESS": 1, "PLACEHOLDER": 1}
    new = pb.AnswerText(name=text.name, text=f"{text.text} Bye.")
    desk.ask("EditHold", edit(desk, hold, b"", texts=[new]))
    told = desk.get(hold, person="rita").texts[0].text
    assert told == f"To {MAIL} and <EMAIL_ADDRESS_1> it goes. Bye."


@pytest.mark.parametrize(
    ("body", "head"),
    [(answer("hi").replace(b'"id"', f'"{MAIL}"'.encode()), JSON), (b"no json", JSON), (b"data: {}", SSE)],
)
def test_an_answer_that_cannot_be_concealed_is_not_shown(desk: Desk, body: bytes, head: AnswerHead) -> None:
    hold = desk.hold(body, head)
    assert desk.refusal("GetHold", pb.GetHoldRequest(id=hold))[0] == "not_concealable"


@pytest.mark.parametrize(("body", "head"), [(answer("hi"), JSON), (streamed("hi"), SSE)])
def test_an_identifier_in_an_answer_is_concealed_like_its_text(
    desk: Desk, body: bytes, head: AnswerHead
) -> None:
    hold = desk.hold(body.replace(b'"c"', f'"{MAIL}"'.encode()), head)
    assert desk.get(hold).hold.forward == body.replace(b'"c"', b'"<EMAIL_ADDRESS_1>"')


def test_what_is_left_out_without_a_placeholder_is_counted_all_the_same(desk: Desk) -> None:
    said = answer("hi").replace(
        b'"finish_reason"', b'"logprobs": {"content": [{"token": "%s"}]}, "finish_reason"'
    )
    seen = desk.get(desk.hold(said.replace(b"%s", MAIL.encode()), JSON)).hold
    assert (MAIL.encode() in seen.forward, bool(seen.concealed)) == (False, True)


def test_an_error_of_the_model_server_is_concealed_too(desk: Desk) -> None:
    error = json.dumps({"error": {"message": f"no mail to {MAIL}", "type": "x"}}).encode()
    hold = desk.hold(error, AnswerHead(500, JSON.headers))
    assert desk.get(hold).hold.forward == error.replace(MAIL.encode(), b"<EMAIL_ADDRESS_1>")


def test_no_block_of_an_answer_is_edited_beside_one_that_has_something_concealed(desk: Desk) -> None:
    def preview(card: str, text: str) -> pb.EditHoldRequest:
        blocks = [{"type": "text", "text": said} for said in (f"Your card is {card}", " and so on.")]
        usage = {"input_tokens": 1, "output_tokens": 1}
        said = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": blocks}
        body = json.dumps(said | {"stop_reason": "end_turn", "usage": usage}).encode()
        made = replace(
            draft(next(desk.numbers)),
            forward=body,
            digest=digest(body),
            api="anthropic",
            operation="messages",
            answer=JSON,
        )
        desk.thread.run(desk.store.open_hold(made, HoldLimits(pending_per_caller=1000)))
        texts = [pb.AnswerText(name="blocks/1/text", text=text)]
        return pb.EditHoldRequest(id=made.id, digest=digest(body), texts=texts)

    for card in ("3782 822463 10005", "3714 496353 98431"):
        for digit in (4, 7):  # either makes one of these a longer number, which is no card
            code, why = desk.refusal("PreviewEdit", preview(card, f"{digit} and so on."))
            assert (code, "stays as it is in all others" in why) == ("edit_concealed", True)
    assert desk.ask("PreviewEdit", preview("none", " and no more."))


def test_what_a_reviewer_answers_is_not_compared_with_what_is_concealed_from_them(desk: Desk) -> None:
    secret = answer("Write to the man at kim@mail.example about the money soon.")
    earlier = desk.hold(secret, JSON)
    reject = pb.RejectHoldRequest(id=earlier, digest=digest(secret), reason="no")
    desk.ask("RejectHold", reject, person="rita")
    for name in ("bob", "kim"):
        hold = desk.hold(chat("Which address is it?"))
        guess = f"Write to the man at {name}@mail.example about the money soon."
        asked = pb.RespondHoldRequest(id=hold, digest=digest(desk.bytes_of(hold)), text=guess)
        desk.ask("RespondHold", asked)
        context = desk.get(hold).context
        assert (list(context.earlier), context.is_partial) == ([], True)
        assert desk.get(hold, person="rita").context.earlier


def test_an_answer_in_the_place_of_the_model_can_be_given_without_seeing_all(desk: Desk) -> None:
    hold = desk.hold(BODY)
    asked = pb.RespondHoldRequest(id=hold, digest=digest(BODY), text="Ask us@help.example please.")
    made = desk.ask("RespondHold", asked)
    assert b"Ask <EMAIL_ADDRESS_1> please." in made.hold.forward
    assert b"us@help.example" in desk.bytes_of(hold)


def test_of_a_grant_no_word_is_told_that_has_what_is_concealed(thread: LoopThread, tmp_path: Path) -> None:
    rules = rules_in(tmp_path)
    concealer = Concealing(lambda: rules, Threads())
    cora = as_("cora")
    with serving(thread, tmp_path, [SECURITY], concealer) as (store, api):
        made = replace(grant_draft(0), traits=replace(TRAITS, tools=("search", MAIL)))
        thread.run(store.open_hold(made, HoldLimits()))
        thread.run(store.open_hold(grant_draft(1), HoldLimits()))
        grant = api.CreateGrant(wish(reason=f"{MAIL} may"), metadata=as_("rita")).grant
        plain = api.CreateGrant(wish(hold="hld_1", reason=f"{MAIL} may"), metadata=cora).grant
        assert (plain.terms != b"", plain.votes[0].reason) == (True, "[EMAIL_ADDRESS] may")
        told = [
            api.GetGrant(grants_pb2.GetGrantRequest(id=grant.id), metadata=cora).grant,
            *api.ListGrants(grants_pb2.ListGrantsRequest(), metadata=cora).grants,
        ]
        assert not [shown for shown in told if MAIL.encode() in shown.SerializeToString()]
        assert (sorted(told[0].tools), told[0].terms) == (["[EMAIL_ADDRESS]", "search"], b"")
        assert refused(api.CreateGrant, wish(tools=["other"]), "cora")[1] == "not_concealable"
        by = grants_pb2.RevokeGrantRequest(id=grant.id, reason=f"{MAIL} left")
        ended = api.RevokeGrant(by, metadata=cora).grant
        assert ended.revoke_reason == "[EMAIL_ADDRESS] left"


def test_where_a_detector_fails_lists_watches_and_votes_are_answered_without_the_words(
    thread: LoopThread, tmp_path: Path
) -> None:
    with desk_of(thread, tmp_path, Failing()) as desk:
        holds = [desk.hold(chat("hi")) for _ in range(7)]
        for hold in holds:
            desk.ask("CommentHold", pb.CommentHoldRequest(id=hold, text="a comment"), person="rita")
        assert desk.refusal("GetHold", pb.GetHoldRequest(id=holds[0]))[0] == "not_concealable"
        listed = desk.ask("ListHolds", pb.ListHoldsRequest()).holds
        assert [hold.acts[0].text for hold in listed] == [NOT_READ] * len(holds)
        watching: Any = desk.api.WatchHolds(pb.WatchHoldsRequest(), metadata=as_("cora"))
        assert {next(watching).hold.id for _ in holds} == set(holds)
        assert next(watching).HasField("snapshot_done")
        watching.cancel()
        approved, rejected, one, two, claimed, commented, answered = holds
        of = digest(chat("hi"))
        desk.ask("ApproveHold", pb.ApproveHoldRequest(id=approved, digest=of, reason="yes"))
        desk.ask("WithdrawVote", pb.WithdrawVoteRequest(id=approved))
        desk.ask("RejectHold", pb.RejectHoldRequest(id=rejected, digest=of, reason="no"))
        both = [pb.Shown(id=hold, digest=of) for hold in (one, two)]
        asked = pb.DecideHoldsRequest(holds=both, verdict=pb.VERDICT_REJECT, reason="no")
        outcomes = desk.ask("DecideHolds", asked).outcomes
        assert [told.hold.votes[0].reason for told in outcomes] == [NOT_READ] * 2
        assert desk.ask("ClaimHold", pb.ClaimHoldRequest(id=claimed)).hold.HasField("claim")
        told = desk.ask("CommentHold", pb.CommentHoldRequest(id=commented, text="another"))
        assert [act.text for act in told.hold.acts] == [NOT_READ] * 2
        respond = pb.RespondHoldRequest(id=answered, digest=of, text="Ask us.")
        made = desk.ask("RespondHold", respond).hold
        assert (made.forward, made.is_response) == (b"", True)


def test_nobody_votes_for_a_grant_of_tools_whose_names_are_concealed_from_them(
    thread: LoopThread, tmp_path: Path
) -> None:
    rules = rules_in(tmp_path)
    two = Approval("security", (Stage("security", 2, 1800.0),))
    with serving(thread, tmp_path, [two], Concealing(lambda: rules, Threads())) as (store, api):
        for number, tools in enumerate([("search", MAIL), ("search", "shell")]):
            traits = replace(TRAITS, tools=tools)
            made = replace(grant_draft(number), traits=traits, approvals=(two,))
            thread.run(store.open_hold(made, HoldLimits()))
        grants = [api.CreateGrant(wish(hold=f"hld_{n}"), metadata=as_("rita")).grant for n in (0, 1)]
        hidden, plain = (grants_pb2.ApproveGrantRequest(id=g.id, digest=g.digest) for g in grants)
        assert refused(api.ApproveGrant, hidden, "cora")[1] == "not_concealable"
        assert api.ApproveGrant(plain, metadata=as_("cora")).grant.state == grants_pb2.GRANT_STATE_ACTIVE
        assert api.ApproveGrant(hidden, metadata=as_("rob")).grant.state == grants_pb2.GRANT_STATE_ACTIVE


def test_of_a_grant_no_words_are_told_where_a_detector_fails(thread: LoopThread, tmp_path: Path) -> None:
    concealer = Concealing(lambda: replace(rules_in(tmp_path), request_scanner=Failing()), Threads())
    with serving(thread, tmp_path, [SECURITY], concealer) as (store, api):
        thread.run(store.open_hold(grant_draft(0), HoldLimits()))
        made = api.CreateGrant(wish(reason="fine"), metadata=as_("rita")).grant
        (told,) = api.ListGrants(grants_pb2.ListGrantsRequest(), metadata=as_("cora")).grants
        assert (told.id, told.votes[0].reason, told.terms) == (made.id, NOT_READ, b"")
        assert refused(api.CreateGrant, wish(), "cora")[1] == "not_concealable"


def test_where_nothing_can_be_concealed_nothing_is_shown(thread: LoopThread, tmp_path: Path) -> None:
    with served(thread, tmp_path) as (store, address), grpc.insecure_channel(address) as channel:
        api = HoldServiceStub(channel)
        thread.run(store.open_hold(draft(0), HoldLimits()))
        with pytest.raises(grpc.RpcError) as caught:
            api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("cora"))
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("rita")).hold.forward


WORDS = st.lists(
    st.sampled_from(["send", "the", "report", "äöü", '"now"', "to", "please"]), min_size=1, max_size=5
)
SECRETS = st.one_of(
    st.from_regex(r"[a-z]{6,9}@[a-z]{5,8}\.example", fullmatch=True),
    st.sampled_from(["4111 1111 1111 1111", "5555555555554444", "378282246310005"]),
)
TURNS = st.lists(st.tuples(WORDS, SECRETS, WORDS), min_size=1, max_size=3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS)
def test_no_verb_tells_a_concealed_value_and_an_edit_leaves_each_in_place(
    desk: Desk, turns: list[tuple[list[str], str, list[str]]]
) -> None:
    texts = [" ".join((*before, secret, *after)) for before, secret, after in turns]
    body = chat(*texts, "Thanks.")
    begin, hold = len(desk.seen), desk.hold(body)
    comment = pb.CommentHoldRequest(id=hold, text=f"look: {texts[0]}")
    desk.ask("CommentHold", comment, person="rita")
    desk.ask("ListHolds", pb.ListHoldsRequest())
    shown = desk.get(hold).hold.forward
    desk.ask("ClaimHold", pb.ClaimHoldRequest(id=hold))
    desk.ask("ReleaseClaim", pb.ReleaseClaimRequest(id=hold))
    desk.ask("CommentHold", pb.CommentHoldRequest(id=hold, text="fine"))
    asked = edit(desk, hold, shown.replace(b"Thanks.", b"Thank you."))
    desk.ask("PreviewEdit", asked)
    desk.ask("EditHold", asked)
    assert desk.bytes_of(hold) == body.replace(b"Thanks.", b"Thank you.")
    desk.get(hold)
    desk.ask("RejectHold", pb.RejectHoldRequest(id=hold, digest=digest(desk.bytes_of(hold)), reason="no"))
    told = b"".join(desk.seen[begin:])
    assert not [secret for _, secret, _ in turns if secret.encode() in told]
