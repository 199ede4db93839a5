"""A hold on the screen: what was approved before, what was found where, and what was decided on its like."""

from __future__ import annotations

from datetime import UTC, datetime

from authz_api.v1 import holds_pb2 as pb
from authz_cli.hold_context import context_facts, context_object
from authz_cli.hold_text import hold_page, local

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_earlier_decisions_are_told_for_people_and_for_programs() -> None:
    vote = pb.Vote(name="rita", verdict=pb.VERDICT_REJECT, reason="not those")
    earlier = pb.EarlierDecision(id="hld_0", state=pb.HOLD_STATE_REJECTED, likeness=71, votes=[vote])
    earlier.created_at.FromSeconds(1_795_000_000)
    context = pb.HoldContext(
        found=[pb.Found(path="/messages/0/content", start=5, end=13, entity="EMPLOYEE_ID")],
        approved_before=pb.ApprovedBefore(hold="hld_9", messages=2),
        earlier=[earlier],
        is_partial=True,
        new_turn="/messages/2",
    )
    told = [f"{name}: {text}" for name, text in context_facts(context, local(earlier.created_at))]
    assert told[0] == "Found at: /messages/0/content: EMPLOYEE_ID, characters 6 to 13"
    assert told[1] == "Approved: the first 2 turn(s) are those of hold hld_9, approved then"
    assert told[2].startswith("Earlier: hld_0, 71 % alike, rejected, ")
    assert told[2].endswith("against, by rita, saying: not those")
    assert "more holds of this caller" in told[3]
    made = context_object(context)
    assert made["approved_before"] == {"hold": "hld_9", "messages": 2}
    assert made["earlier"][0]["votes"][0]["reason"] == "not those"
    assert made["new_turn"] == "/messages/2"
    assert context_object(pb.HoldContext())["approved_before"] is None


def test_what_was_found_in_an_answer_is_told_with_its_line_and_the_name_of_its_text() -> None:
    text = "Ask\nE-123456 (b\x1b[2Job)\nor not"
    found = [pb.Found(start=4, end=12, entity="EMPLOYEE_ID"), pb.Found(start=14, end=21, entity="NAME")]
    context = pb.HoldContext(in_answer=[pb.FoundText(name="choices/0/content", text=text, found=found)])
    hold = pb.Hold(id="hold_1", forward=b"{}", answer=pb.Answer(status=200))
    shown = list(hold_page(hold, now=NOW, width=None, context=context))
    at = shown.index("Found in it")
    assert shown[at + 1 : at + 5] == [
        "  ├ choices/0/content:",
        "  │ E-123456 (b␛[2Job)",
        "  ┊ ^ EMPLOYEE_ID: E-123456",
        "  ┊ ^ NAME: b␛[2Job",
    ]
    (told,) = context_object(context)["in_answer"]
    assert told["text"] == text
    assert told["found"][0] == {"start": 4, "end": 12, "entity": "EMPLOYEE_ID"}
