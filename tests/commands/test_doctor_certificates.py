"""`authz doctor` sees a certificate that has ended before callers do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authz_service.commands.doctor_certificates import check_certificates
from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.gateway_values import Tls
from authz_service.keys.certificates import make_certificates

NO_LOGINS = SimpleNamespace(listener=None)


def found(folder: Path, days: float) -> Finding:
    """What is said so many days after one was made that is good for thirty."""
    make_certificates(folder / "tls", ["localhost"], days=30)
    tls = Tls(folder / "tls" / "service.crt", folder / "tls" / "service.key")
    config: Any = SimpleNamespace(listen=SimpleNamespace(tls=tls), link=None, logins=NO_LOGINS)
    (finding,) = check_certificates(config, datetime.now(UTC) + timedelta(days=days))
    return finding


@pytest.mark.parametrize(
    ("days", "status", "said"),
    [
        (1, Status.OK, "good until"),
        (20, Status.WARN, "good until"),
        (31, Status.FAIL, "expired on"),
        (-9, Status.FAIL, "on only"),
    ],
)
def test_a_certificate_is_judged_by_its_days(tmp_path: Path, days: float, status: Status, said: str) -> None:
    finding = found(tmp_path, days)
    assert finding.status is status
    assert said in finding.message
    assert bool(finding.next_step) is (status is not Status.OK)


def test_a_file_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.crt").write_text("nothing")
    tls = Tls(tmp_path / "x.crt", tmp_path / "x.key")
    config: Any = SimpleNamespace(listen=SimpleNamespace(tls=tls), link=None, logins=NO_LOGINS)
    (finding,) = check_certificates(config)
    assert finding.status is Status.FAIL
    assert str(tmp_path / "x.crt") in finding.message


def test_nothing_is_said_without_tls() -> None:
    config: Any = SimpleNamespace(listen=SimpleNamespace(tls=None), link=None, logins=NO_LOGINS)
    assert list(check_certificates(config)) == []


def test_the_certificate_of_logins_is_looked_at_too(tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls", ["localhost"], days=30)
    tls = Tls(tmp_path / "tls" / "service.crt", tmp_path / "tls" / "service.key")
    logins = SimpleNamespace(listener=SimpleNamespace(tls=tls))
    config: Any = SimpleNamespace(listen=SimpleNamespace(tls=None), link=None, logins=logins)
    (finding,) = check_certificates(config, datetime.now(UTC) + timedelta(days=31))
    assert (finding.check, finding.status) == ("certificate login.listen.tls", Status.FAIL)
    assert "SIGHUP" not in finding.next_step  # it is taken by itself
    without: Any = SimpleNamespace(
        listen=SimpleNamespace(tls=None),
        link=None,
        logins=SimpleNamespace(listener=SimpleNamespace(tls=None)),
    )
    assert list(check_certificates(without)) == []
