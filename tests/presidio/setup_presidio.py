"""Makes build/presidio/env: Presidio, without a model, with the packages of the project behind its own."""

from __future__ import annotations

from pathlib import Path

from tests.own_environment import OwnEnvironment

PRESIDIO = OwnEnvironment("presidio", "Presidio (300 MB)", Path(__file__).parent / "requirements.txt")

if __name__ == "__main__":
    PRESIDIO.make()
    PRESIDIO.see_the_project()
