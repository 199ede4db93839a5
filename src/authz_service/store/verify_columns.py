"""The columns of a row held against what its entries make of them: for verification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.store.verify_payloads import Say


def say_differing(say: Say, name: str, row: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
    """Say which columns of the row with this name differ; `derived` has those that can be told."""
    for column, value in derived.items():
        if row.get(column) != value:
            say(name, f"its column {column} is not what its entries make of it")
