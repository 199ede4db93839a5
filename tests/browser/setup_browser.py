"""Makes build/browser/env: Chromium with its developer tools, as Qt WebEngine."""

from __future__ import annotations

from pathlib import Path

from tests.own_environment import OwnEnvironment

BROWSER = OwnEnvironment("browser", "Qt WebEngine (700 MB)", Path(__file__).parent / "requirements.txt")
PYTHON = BROWSER.binaries / "python"

if __name__ == "__main__":
    BROWSER.make()
