"""The Ed25519 of the verifier that goes with an export is that of the specification."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.commands.exported import flipped

from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_verifier import ed25519

# RFC 8032 7.1, tests 1 to 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_verifiers_own_ed25519_is_that_of_the_specification(
    public: str, message: str, signature: str
) -> None:
    key, said, good = (bytes.fromhex(text) for text in (public, message, signature))
    assert ed25519.is_signature(key, good, said)
    for place in range(64):
        assert not ed25519.is_signature(key, flipped(good, place), said)
    assert not ed25519.is_signature(key, good, said + b"x")
    assert not ed25519.is_signature(flipped(key, 3), good, said)
    # RFC 8032 5.1.7: S must be below the order of the group, or one signature had several forms.
    s = int.from_bytes(good[32:], "little") + ed25519.ORDER
    assert not ed25519.is_signature(key, good[:32] + s.to_bytes(32, "little"), said)
    assert not ed25519.is_signature(key, good[:-1], said)


def test_both_ed25519_implementations_agree() -> None:
    key = LogKey.create("a")
    for number in range(20):
        message = str(number).encode()
        signature = key.sign(message)
        for changed in (signature, flipped(signature, number * 3)):
            ours = ed25519.is_signature(key.vkey.public, changed, message)
            assert ours == is_ed25519_signature(key.vkey.public, changed, message)


@pytest.mark.parametrize("encoded", [b"\xff" * 32, (ed25519.P).to_bytes(32, "little"), b"\x02" + bytes(31)])
def test_what_is_no_point_is_refused(encoded: bytes) -> None:
    assert ed25519.decompress(encoded) is None


def test_the_verifier_imports_nothing_but_the_standard_library() -> None:
    sources = list(Path(ed25519.__file__).parent.glob("*.py"))
    names = {
        line.split()[1].partition(".")[0]
        for source in sources
        for line in source.read_text().splitlines()
        if line.lstrip().startswith(("import ", "from "))
    }
    assert len(sources) > 10
    assert names <= {*sys.stdlib_module_names, "authz_verifier"}


def test_the_verifier_names_all_its_files_in_the_order_in_which_they_are_read() -> None:
    package = Path(ed25519.__file__).parent
    said = (package / "__init__.py").read_text()
    files = {source.stem for source in package.glob("*.py")} - {"__init__"}
    assert {name for name in files if f"`{name}`" not in said.replace("verify.py", "verify")} == set()
