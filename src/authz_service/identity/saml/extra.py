"""Whether the packages of the extra `saml` are there, told before anything begins."""

from __future__ import annotations

import importlib.util

from authz_service.config.model import Config
from authz_service.errors import Misconfigured

PACKAGES = ("aiohttp", "lxml", "signxml")
HOW = "pip install 'authz-service[saml]'"


def require_saml(config: Config) -> None:
    """Raises `Misconfigured` where `identity.saml` asks for what is not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if config.identity.saml and missing:
        raise Misconfigured(f"identity.saml needs packages that are not installed: {HOW}")
