"""A filled record and its export, for the tests of exports."""

from __future__ import annotations

from tests.commands.exported import made as made
from tests.commands.exported import out as out
