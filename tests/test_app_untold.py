"""The log warns whenever a configuration comes into force under which decisions alone are told to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.servers.ext_proc_fakes import CONFIG

from authz_service.app.untold import warn_of_untold
from authz_service.cel.load import load_config

ALONE = CONFIG.replace('auditors: "true"}', 'auditors: "true", break_glass: "true"}')
HOOK = "notify: {webhooks: [{name: chat, url: 'https://x.example', secret: {file: s}%s}]}\n"


@pytest.mark.parametrize(
    ("config", "is_warned"),
    [
        (CONFIG, False),
        (ALONE, True),
        (ALONE + HOOK % ", events: [opened]", True),
        (ALONE + HOOK % "", False),
        (ALONE + HOOK % ", events: [break_glass]", False),
    ],
)
def test_it_is_said_where_a_receiver_lacks(tmp_path: Path, config: str, *, is_warned: bool) -> None:
    (tmp_path / "s").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (tmp_path / "s").chmod(0o600)
    (tmp_path / "authz.yaml").write_text(config)
    loaded = load_config(tmp_path / "authz.yaml")
    with capture_logs() as logs:
        warn_of_untold(loaded.config)
    assert [(log["event"], log["log_level"]) for log in logs] == (
        [("review.break_glass_untold", "warning")] if is_warned else []
    )
    assert all("no receiver of notify is told" in log["note"] for log in logs)
