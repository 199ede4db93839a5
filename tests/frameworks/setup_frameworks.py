"""Makes build/frameworks/env: LangChain and LlamaIndex, with the packages of the project behind theirs."""

from __future__ import annotations

from pathlib import Path

from tests.own_environment import OwnEnvironment

FRAMEWORKS = OwnEnvironment(
    "frameworks", "LangChain and LlamaIndex (280 MB)", Path(__file__).parent / "requirements.txt"
)

if __name__ == "__main__":
    FRAMEWORKS.make()
    FRAMEWORKS.see_the_project()
