"""What a signal asks for while a process starts, done as soon as it can be."""

from __future__ import annotations

from collections.abc import Callable


class Deferred:
    """`ask` is for a signal's handler; what it asks for is done from `begin` on, once for all before."""

    def __init__(self) -> None:
        self._act: Callable[[], None] | None = None
        self._is_asked = False

    def ask(self) -> None:
        """Do it now, or when it begins."""
        if self._act is None:
            self._is_asked = True
        else:
            self._act()

    def begin(self, act: Callable[[], None]) -> None:
        """From now on this is what is done."""
        self._act = act
        if self._is_asked:
            act()
