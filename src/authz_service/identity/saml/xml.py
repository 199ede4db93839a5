"""Reads XML strictly: what two readers could take differently is refused before anything is believed."""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree

from authz_service.errors import Unauthenticated

LARGEST_DOCUMENT: Final = 128 * 1024  # bytes; an assertion with 1,000 groups has 60 KiB
DEEPEST: Final = 40
MOST_ELEMENTS: Final = 4_000

ASSERTION: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE: Final = "http://www.w3.org/2000/09/xmldsig#"
NAMES: Final = {"saml": ASSERTION, "samlp": PROTOCOL, "md": METADATA, "ds": SIGNATURE}

Element = Any
"""An element of lxml, which has no types."""

_DECLARATION: Final = re.compile(rb"\s*<\?xml\s[^>]*\?>")
_ENCODING: Final = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_IDS: Final = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")


def read_message(document: bytes) -> Element:
    """The root of a message; raises `Unauthenticated`, which repeats nothing of it.

    No document type, so no entities; no comments, CDATA or processing instructions: a comment in the middle
    of a name would end it for some readers (CVE-2017-11427). No ID stands for two elements, or a signature
    for one could pass for the other.
    """
    if len(document) > LARGEST_DOCUMENT:
        raise refused(f"is larger than {LARGEST_DOCUMENT} bytes", "saml_too_large")
    declaration = _DECLARATION.match(document)
    body = document if declaration is None else document[declaration.end() :]
    _check_encoding(b"" if declaration is None else declaration.group())
    if b"<!" in body or b"<?" in body:
        raise refused("has a document type, a comment, CDATA or a processing instruction")
    root = _parsed(body)
    _check_shape(root)
    return root


def refused(what: str, code: str = "saml_malformed") -> Unauthenticated:
    """The refusal of a message; `what` is said of "the SAML message"."""
    return Unauthenticated(f"the SAML message {what}", code=code)


def tag(namespace: str, name: str) -> str:
    """A qualified name as lxml writes it."""
    return f"{{{namespace}}}{name}"


def only(parent: Element, path: str, *, what: str) -> Element:
    """The one element at this path; raises `Unauthenticated` for none or several."""
    found = parent.findall(path, NAMES)
    if len(found) != 1:
        raise refused(f"has {len(found) or 'no'} {what}, and 1 is expected")
    return found[0]


def text_of(element: Element) -> str:
    """The text of an element that has nothing else in it."""
    if len(element):
        raise refused("has elements where a text is expected")
    return (element.text or "").strip()


def _check_encoding(declaration: bytes) -> None:
    encoding = _ENCODING.search(declaration)
    if encoding is not None and encoding[1].lower() != b"utf-8":
        # The checks below look at bytes; "<!" in UTF-16 or UTF-7 is written otherwise.
        raise refused("is not in UTF-8")


def _parsed(body: bytes) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        body.decode()
        return etree.fromstring(body.strip(), parser)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError) as error:
        raise refused("is not well-formed XML in UTF-8") from error


def _check_shape(root: Element) -> None:
    seen: set[str] = set()
    level, depth = [root], 0
    too_large = refused(f"has more than {MOST_ELEMENTS} elements, or {DEEPEST} levels")
    if root.xpath("count(//*)") > MOST_ELEMENTS:  # counted by libxml2, before Python looks at each
        raise too_large
    while level:
        depth += 1
        if depth > DEEPEST:
            raise too_large
        for element in level:
            for value in (element.get(name) for name in _IDS):
                if value is not None and value in seen:
                    raise refused("has an ID twice")
                seen |= set() if value is None else {value}
        level = [child for element in level for child in element]
