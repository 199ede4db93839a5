"""Installs the SAML provider of the tests, npm's samlp, into build/saml_provider."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROVIDER = ROOT / "build" / "saml_provider"
SERVER = PROVIDER / "server.mjs"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.oidc.setup_provider import install

    install(HERE / "provider", PROVIDER, "samlp (14 MB)")
