"""A TCP proxy before PostgreSQL that loses a COMMIT, or its answer, and keeps the server away if told to."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import psycopg
from sqlalchemy import make_url


class Loss(Enum):
    """What is lost of the next COMMIT."""

    COMMIT = "the COMMIT itself"
    ANSWER = "the answer to it"
    BOTH_ENDS = "the connection, as soon as COMMIT is on its way"


class LossyPostgres:
    """What passes through `url` reaches the server, until something is to be lost."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        with psycopg.connect(url) as connection:
            self._socket = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://{parsed.username}@127.0.0.1:{port}/{parsed.database}"
        self.lost = 0
        self.refused = 0
        """How many connections were not let in."""
        self.turns = 0
        """How often somebody spoke to the server after it had answered: what a far one is waited for."""
        self._next: Loss | None = None
        self._stays_away = False
        self._is_away = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, what: Loss, *, and_stay_away: bool = False) -> None:
        """Lose it of the next COMMIT; then let nobody connect until `come_back`."""
        self._stays_away = and_stay_away
        self._next = what

    def come_back(self) -> None:
        """Let everybody connect again."""
        self._is_away = False

    def close(self) -> None:
        """End every connection, and listen no more."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client, _ = self._listener.accept()
                if self._is_away:
                    client.close()
                    self.refused += 1
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._socket)
                self._open |= {client, server}
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            last = server
            while True:
                for key, _ in ready.select():
                    side, other = key.fileobj, key.data
                    assert isinstance(side, socket.socket)
                    data = side.recv(65536)
                    self.turns += side is client and last is server
                    last = side
                    if not data or (side is client and self._loses(data, server)):
                        raise ConnectionAbortedError
                    other.sendall(data)
        for one in (client, server):
            one.close()

    def _loses(self, data: bytes, server: socket.socket) -> bool:
        """Whether this COMMIT is lost; to the server it went, or not."""
        what = self._next
        if what is None or b"COMMIT\0" not in data:
            return False
        self._next = None
        self._is_away = self._stays_away
        self.lost += 1
        if what is not Loss.COMMIT:
            server.sendall(data)
        if what is Loss.ANSWER:
            server.recv(65536)
        return True


@contextmanager
def lossy(url: str) -> Iterator[LossyPostgres]:
    """The proxy, within the context."""
    proxy = LossyPostgres(url)
    try:
        yield proxy
    finally:
        proxy.close()
