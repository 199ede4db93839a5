"""The page on masking tells of every entity type what the code does; its tables are these."""

from __future__ import annotations

from pathlib import Path

from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.masking import base64_detector, stream
from authz_service.masking.catalogue import CATALOGUE
from authz_service.masking.credentials import CREDENTIALS
from authz_service.masking.entity_type import CONTEXT, THRESHOLD, EntityType
from authz_service.masking.national_numbers import NATIONAL_NUMBERS
from authz_service.masking.network import NETWORK
from authz_service.masking.operators import by_type, drop, keyed_hash, partial
from authz_service.masking.personal_data import PERSONAL_DATA
from authz_service.masking.placeholders import Place
from authz_service.masking.terms import FARTHEST, WITHIN

_PAGE = Path(__file__).parents[2] / "docs" / "masking.md"


def _row(kind: EntityType) -> str:
    scores = " or ".join(dict.fromkeys(f"{shape.score:g}" for shape in kind.shapes))
    words = ", ".join(sorted(kind.context))
    return f"| `{kind.name}` | {kind.finds} | {kind.checked} | {scores} | {words} |"


def _table(kinds: tuple[EntityType, ...]) -> str:
    rows = [_row(kind) for kind in sorted(kinds, key=lambda kind: kind.name)]
    return "\n".join(["| type | what | check | score | words before |", "|---|---|---|---|---|", *rows])


def test_every_entity_type_is_in_a_table() -> None:
    page = _PAGE.read_text()
    for kinds in (PERSONAL_DATA, NATIONAL_NUMBERS, NETWORK, CREDENTIALS):
        assert _table(kinds) in page, _table(kinds)
    assert sum(map(len, (PERSONAL_DATA, NATIONAL_NUMBERS, NETWORK, CREDENTIALS))) == len(CATALOGUE)
    assert f"{len(CATALOGUE)} entity types" in page


def test_figures_on_the_page_are_those_of_the_code() -> None:
    page = _PAGE.read_text()
    for said in (
        f"a threshold of {THRESHOLD:g}",
        f"adds {CONTEXT:g}",
        f"{WITHIN} characters before",
        f"up to {FARTHEST}",
        f"{stream.MOST_HELD:,} characters",
        f"first {base64_detector.LONGEST:,} characters",
    ):
        assert said in page, said


def test_examples_of_operators_are_what_they_make() -> None:
    page = _PAGE.read_text()
    card = "4111 1111 1111 1111"
    assert f"| `type` | `{by_type('CREDIT_CARD', card)}` |" in page
    assert f"| `partial` | `{partial('CREDIT_CARD', card)}` |" in page
    assert f"| `hash` | `{keyed_hash(bytes(32))('CREDIT_CARD', card)}` |" in page
    assert drop("CREDIT_CARD", card) == ""


def _example(below: str, folder: Path) -> Config:
    """The configuration of the first example below a heading."""
    example = _PAGE.read_text().partition(below)[2].partition("```yaml\n")[2].partition("```")[0]
    file = folder / "authz.yaml"
    file.write_text(f'version: 1\nmodels: [{{name: m, url: "http://127.0.0.1:1"}}]\n{example}')
    return load_config(file).config


def test_the_example_is_good(tmp_path: Path) -> None:
    config = _example("# Masking", tmp_path)
    assert [mask.operator for mask in config.masks] == ["type", "partial"]
    assert len(config.detector_options) == 3


def test_the_example_of_placeholders_is_good(tmp_path: Path) -> None:
    restored = [mask.restore for mask in _example("## Placeholders", tmp_path).masks]
    assert restored == [(Place.TEXT,), (Place.TEXT, Place.TOOL_ARGUMENTS)]
