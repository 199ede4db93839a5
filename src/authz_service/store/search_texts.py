"""The full-text index of either database: what it is asked, and what is put into it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, TextClause, select, text

from authz_service.audit.words import TextQuery, read_query
from authz_service.store.search_schema import texts_in_postgres, texts_in_sqlite
from authz_service.store.transaction import Reader

_LAST_POSITION = 16_383  # PostgreSQL has no larger one
_MOST_POSITIONS = 255  # of one word
_BETWEEN = 16  # positions, so that no phrase spans from the prompt to the answer


FREQUENT = 2000
"""Sessions with a word, above which a phrase with it is looked for in a part of the index only."""


def matching(reader: Reader, searched: str) -> Select[Any]:
    """The numbers of the sessions whose prompt or answer has all that is searched for.

    Raises `Unreadable` for a text without words.
    """
    return _matching(reader, read_query(searched))


def is_costly(reader: Reader, searched: str) -> bool:
    """Whether it is a phrase of frequent words: its places in each text that has them all are compared."""
    query = read_query(searched)
    if all(len(phrase) == 1 for phrase in query.phrases):
        return False
    words = {word for phrase in query.phrases for word in phrase}
    return all(_is_frequent(reader, word) for word in sorted(words))


def key_of(dialect: str) -> ColumnElement[int]:
    """The column of `matching` that has a session's number."""
    return texts_in_sqlite.c.rowid if dialect == "sqlite" else texts_in_postgres.c.session


def _is_frequent(reader: Reader, word: str) -> bool:
    query = _matching(reader, TextQuery(((word,),))).offset(FREQUENT).limit(1)
    return reader.read(query).first() is not None


def _matching(reader: Reader, query: TextQuery) -> Select[Any]:
    if reader.dialect == "sqlite":
        match: TextClause = text("search_texts MATCH :match").bindparams(match=_fts5(query))
        return select(texts_in_sqlite.c.rowid).where(match)
    # Words are letters and digits: nothing in them could end the quotes.
    matches = text("search_texts.words @@ CAST(:match AS tsquery)").bindparams(match=_tsquery(query))
    return select(texts_in_postgres.c.session).where(matches)


def table_of(dialect: str) -> Table:
    """The table of texts."""
    return texts_in_sqlite if dialect == "sqlite" else texts_in_postgres


def indexed(dialect: str, session: int, prompt: list[str], answer: list[str]) -> dict[str, Any]:
    """The row of a session's words."""
    if dialect == "sqlite":
        return {"rowid": session, "prompt": " ".join(prompt), "answer": " ".join(answer)}
    places: dict[str, list[str]] = {}
    for offset, words in ((1, prompt), (len(prompt) + _BETWEEN, answer)):
        for position, word in enumerate(words, offset):
            known = places.setdefault(word, [])
            if len(known) < _MOST_POSITIONS:
                known.append(str(min(position, _LAST_POSITION)))
    words_at = " ".join(f"'{word}':{','.join(at)}" for word, at in places.items())
    return {"session": session, "words": words_at}


def _fts5(query: TextQuery) -> str:
    return " ".join('"' + " ".join(phrase) + '"' for phrase in query.phrases)


def _tsquery(query: TextQuery) -> str:
    phrases = ("(" + " <-> ".join(f"'{word}'" for word in phrase) + ")" for phrase in query.phrases)
    return " & ".join(phrases)
