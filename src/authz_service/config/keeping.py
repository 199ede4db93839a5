"""Reads how long the record is kept, and where the keys of its payloads are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from authz_service.config import scalars
from authz_service.config.gateway import database_url, file_path
from authz_service.config.keeping_values import Keep, Keeping, KeyPlace
from authz_service.config.section import Section

_DAY: Final = 86_400.0
_LONGEST: Final = 36_500 * _DAY

_VARIABLE = scalars.word(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable")


def read_keeping(record: Section, base: Path) -> Keeping:
    """The keys `keep` and `keys` of `record`."""
    return Keeping(_read_keep(record), _read_keys(record, base))


def _read_keep(record: Section) -> Keep:
    section = record.section_or_empty("keep")
    default = Keep()
    a_time = scalars.duration(_DAY, _LONGEST)
    keep = Keep(
        entries=section.optional("entries", a_time, default.entries),
        payloads=section.optional("payloads", a_time, default.payloads),
        originals=section.optional("originals", scalars.duration(0, _LONGEST), default.originals),
    )
    if keep.payloads > keep.entries:
        key = "payloads" if section.has("payloads") else "entries"
        section.refuse_value(key, "payloads cannot be kept longer than the entries that account for them")
    if keep.originals > keep.payloads:
        message = "values before masking cannot be kept longer than payloads, with which they go"
        section.refuse_value("originals", message)
    section.close()
    return keep


def _read_keys(record: Section, base: Path) -> KeyPlace:
    section = record.section_or_empty("keys")
    url = section.optional("url", database_url, None)
    master = section.section_or_empty("master")
    file = master.optional("file", file_path(base), None)
    variable = master.optional("environment", _VARIABLE, None)
    if file is not None and variable is not None:
        master.refuse_value("environment", "name a file or an environment variable, not both")
    master.close()
    section.close()
    return KeyPlace(url, file, variable)
