"""`authz doctor` says whether checkpoints leave this machine, and whether they arrive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.commands.audit_place import Place

from authz_service.cel.load import load_config
from authz_service.commands.doctor_checks import Status
from authz_service.commands.doctor_record import check_record

SYSLOG = "\nrecord: {checkpoints: {to: [{syslog: 'udp://127.0.0.1:9'}]}}\n"


def found(place: Place) -> list[tuple[str, Status, str]]:
    config = load_config(place.config).config
    return [(f.check, f.status, f.message) for f in check_record(config, place.data)]


def standing(place: Place, **changes: object) -> None:
    stands = {"name": "syslog udp://127.0.0.1:9", "size": 0, "delivered_at": 0.0, "failures": 0, "error": ""}
    place.data.checkpoint_receivers.parent.mkdir(exist_ok=True)
    place.data.checkpoint_receivers.write_text(json.dumps([stands | changes]))


def test_checkpoints_that_stay_here_are_worth_a_warning(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ((check, status, message),) = found(place)
    assert (check, status) == ("checkpoints", Status.WARN)
    assert "none leaves this machine" in message
    place.serve(3)
    (key, checkpoints) = found(place)
    assert key == ("log key", Status.OK, place.run("key").stdout.strip())
    assert "the newest counts 4 entries" in checkpoints[2]


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({}, Status.OK, "nothing was to be delivered yet"),
        ({"size": 7, "delivered_at": 1.8e9}, Status.OK, "has 7 entries since 2027-01-15 08:00:00Z"),
        ({"error": "answers 500", "failures": 3}, Status.WARN, "answers 500, 3 times so far"),
    ],
)
def test_how_a_receiver_stands_is_told(
    tmp_path: Path, changes: dict[str, object], status: Status, message: str
) -> None:
    place = Place(tmp_path)
    place.config.write_text(place.config.read_text() + SYSLOG)
    assert found(place)[-1][2] == "not tried yet"
    standing(place, **changes)
    assert found(place)[-1] == ("checkpoints to syslog udp://127.0.0.1:9", status, message)
    place.data.checkpoint_receivers.write_text("[{}]")
    assert found(place)[-1][2] == "not tried yet"


def test_a_file_of_checkpoints_that_is_damaged_is_a_failure(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.data.checkpoints.parent.mkdir()
    place.data.checkpoints.write_text("nothing\n")
    assert [status for _, status, _ in found(place)] == [Status.FAIL]
