#!/usr/bin/env python3
"""Verifies an export of the record, with Python's standard library alone and without a network.

    python3 verify.py [DIR] [--key VKEY]... [--checkpoint FILE]... [--jobs N] [--json]
    python3 verify.py --proof FILE --key VKEY

DIR is the export, by default the directory of this file. VKEY is the log's public key as you were given
it (name+hash+base64); without it the export's own key is believed, which shows that the export fits
together, not whose it is. FILE is a checkpoint that was kept elsewhere: what was cut off or rewritten
since is found against it, and against nothing else.

What was decided is derived from the votes on record: that they are there, of distinct people, for the stages
and on the bytes that are meant, and enough of them; not whether each came in time. A large export is
verified by as many processes as there are processors, or N.

With --proof it verifies one entry, as `authz audit prove` shows it, and prints it.

Exit code 0: everything fits. 1: something does not, and is named. 2: it could not be verified.

What it runs is in the folder `authz_verifier` beside it, as its files can be read, and imports nothing of
what wrote the export. Nothing else that lies there is run. Whoever could change the export could change these
files too: where that matters run a copy of your own, `python3 -I /yours/verify.py DIR`.
"""

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # this directory: a file in it with a name of Python's own would be run instead
    import os

    # Processes that help would look in the directory that they are started in first.
    os.execv(sys.executable, [sys.executable, "-I", *(["-S"] if sys.flags.no_site else []), *sys.argv])  # noqa: S606 - itself

from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # nothing is added to an export


class Readable(SourceFileLoader):
    """Runs what a file says, whatever compiled form of it lies beside it."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)


class Beside:
    """Finds the modules of the verifier in the folder beside this file, and nothing else there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != "authz_verifier":
            return None
        file = str(HERE / package / f"{module or '__init__'}.py")
        places = None if module else [str(HERE / package)]
        loader = Readable(name, file)
        return spec_from_file_location(name, file, loader=loader, submodule_search_locations=places)


sys.meta_path.insert(0, Beside())

from authz_verifier.command import main  # noqa: E402 - found by the line above

if __name__ == "__main__":
    sys.exit(main(HERE))
