"""Of what the server lists: all its pages, the one thing that was meant, or no more than was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol, TypeVar

import click

from authz_cli.exits import Exit, Failure
from authz_cli.safe_text import safe_line

Item = TypeVar("Item")


class Paged(Protocol):
    """A message that asks for a list, page by page."""

    page_token: str


class OnePage(Protocol):
    """A message with one page of a list; "" where none follows."""

    next_page_token: str


Page = TypeVar("Page", bound=OnePage)


def pages(request: Paged, ask: Callable[[], Page]) -> Iterator[Page]:
    """All pages of what `request` lists: each is asked for when it is wanted."""
    while True:
        page = ask()
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def first_of(items: Iterator[Item], limit: int) -> list[Item]:
    """At most `limit` of them; when there are more, that is said, not passed over."""
    found = list(islice(items, limit + 1))
    if len(found) > limit:
        click.echo(f"there are more than {limit}: say --limit, or filter", err=True)
    return found[:limit]


def tell_damaged(noun: str, ids: Iterable[str]) -> None:
    """Name what belongs into a list and cannot be read: it must not be taken for what is not there."""
    for name in ids:
        click.echo(damaged_line(noun, name), err=True)


def damaged_line(noun: str, name: str) -> str:
    """What is said of one."""
    return safe_line(f"{noun} {name} is damaged: what is stored of it cannot be read; tell the operators")


def only_one(noun: str, name: str, ids: Iterator[str], *, whole: bool = False) -> str:
    """The one id that begins with `name`; with `whole`, one that is `name` itself comes first."""
    # The server filters; what it names must still begin with what was typed, or another thing is decided.
    matches = [i for i in ids if i.startswith(name)] if whole and name else _two(name, ids)
    if whole and name in matches:
        return name
    if not matches:
        raise Failure(f"there is no {noun} {name} that you may see; try: authz {noun} list", Exit.NOT_FOUND)
    if len(matches) > 1:
        raise Failure(f"several {noun}s begin with {name}: say more of the id", Exit.USAGE)
    return matches[0]


def _two(name: str, ids: Iterator[str]) -> list[str]:
    return list(islice((i for i in ids if name and i.startswith(name)), 2))
