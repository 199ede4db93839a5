"""Bodies that hide a canary: for every API it arrives masked, as the model server reads it, or not at all."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.e2e.bypass import CANARY, SAMPLES, TEXT, Attacker, Sample, attacker, tells
from tests.e2e.plain import Header
from tests.e2e.upstream_answers import Received

from authz_service.framing.encoding import RequestFormat
from authz_service.model_apis.registry import ADAPTERS, find_operation


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    yield from attacker(tmp_path_factory.mktemp("bodies"))


def test_every_path_of_every_api_is_attacked() -> None:
    attacked = {
        route[1].name for route in (find_operation("POST", sample.path) for sample in SAMPLES) if route
    }
    every = {
        operation.name
        for adapter in ADAPTERS
        for operation in adapter.operations
        if operation.takes is RequestFormat.JSON  # forms have tries of their own, in tests/framing
    }
    assert attacked == every, "tests/e2e/bypass.py needs a sample of each"


@pytest.mark.parametrize("hidden", [CANARY, CANARY.upper(), quote(CANARY, safe=""), f"a\u200b{CANARY}"])
def test_a_canary_is_told_from_what_a_model_may_see(hidden: str) -> None:
    bodies = [hidden.encode(), json.dumps(hidden).encode(), json.dumps(hidden).encode("utf-16")]
    bodies += [base64.b64encode(f"x {hidden}".encode())] if CANARY in hidden.lower() else []
    for body in bodies:
        assert tells(Received("POST", "/", (), 0.0, body))
    assert not tells(Received("POST", "/", (), 0.0, b"Write to [EMAIL_ADDRESS], or so."))


def said(text: str) -> Callable[[Sample], bytes]:
    """A body that says a text."""
    return lambda sample: sample.sent(text)


def around(before: bytes, after: bytes) -> Callable[[Sample], bytes]:
    """A body with bytes around it."""
    return lambda sample: before + sample.sent() + after


def added(members: bytes, text: str = "Hello") -> Callable[[Sample], bytes]:
    """A harmless body with members before its own."""
    return lambda sample: b"{" + members + b"," + sample.sent(text)[1:]


def escaped(sample: Sample) -> bytes:
    """Each character of the canary as an escape, in upper and lower case by turns."""
    units = "".join(f"\\u{ord(c):04{'xX'[i % 2]}}" for i, c in enumerate(CANARY))
    return sample.sent().replace(CANARY.encode(), units.encode())


def spaced(sample: Sample) -> bytes:
    """White space wherever JSON allows it."""
    return json.dumps(sample.body(TEXT), indent="\t", separators=(" \r\n,\t", "\r\n :\t ")).encode()


WIDE = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in CANARY)

SWITCHES = (
    b'"guardrails":[],"disable_global_guardrails":true,"no-log":true,"mock_response":"ok",'
    b'"metadata":{"guardrails":[],"disable_global_guardrail":true},"api_base":"http://elsewhere.example"'
)
"""Fields by which callers have switched off what other gateways do."""

MASKED: dict[str, tuple[Callable[[Sample], bytes], tuple[Header, ...]]] = {
    "as it is": (said(TEXT), ()),
    "escapes": (escaped, ()),
    "white space": (spaced, ()),
    "white space around": (around(b"\r\n\t ", b" \t\n\n"), ()),
    "capitals": (said(TEXT.upper()), ()),
    "zero-width characters": (said(TEXT.replace(CANARY, "\u200b".join(CANARY))), ()),
    "full-width characters": (said(TEXT.replace(CANARY, WIDE)), ()),
    "percent-encoding": (said(TEXT.replace(CANARY, quote(CANARY, safe="").replace(".", "%2E"))), ()),
    "line ends around it": (said(f"\n{CANARY}\r\n"), ()),
    "a NUL beside it": (said(f"\0{CANARY}\0"), ()),
    "after a long text": (said("a " * 50_000 + TEXT), ()),
    "an unknown field": (added(b'"x_note":"%b"' % CANARY.encode()), ()),
    "deep in an unknown field": (added(b'"x_note":[{"a":{"b":["%b"]}}]' % CANARY.encode()), ()),
    "switches of other gateways": (added(SWITCHES, TEXT), ()),
    "charset": (said(TEXT), (("content-type", "application/json; charset=utf-8"),)),
    "charset in quotes": (said(TEXT), (("content-type", 'application/json;charset="UTF-8"'),)),
    "capitals and spaces": (said(TEXT), (("content-type", "Application/JSON ; Charset=utf-8"),)),
    "an encoding that is none": (said(TEXT), (("content-encoding", "identity"),)),
}


@pytest.mark.parametrize("name", MASKED)
def test_what_a_model_server_reads_is_judged_as_it_reads_it(mallory: Attacker, name: str) -> None:
    write, headers = MASKED[name]
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, write(sample), *headers)
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)


def twice(sample: Sample, *, last: bool, escape: bool = False) -> bytes:
    """The key that says something with the canary, and once more with nothing; the last or the first."""
    key, value = next(item for item in sample.body(TEXT).items() if CANARY in repr(item[1]))
    name = f"\\u{ord(key[0]):04x}{key[1:]}" if escape else key
    hidden, clean = sample.sent(), f'"{name}":{json.dumps(value).replace(CANARY, "nobody")}'.encode()
    return hidden[:-1] + b"," + clean + b"}" if last else b"{" + clean + b"," + hidden[1:]


def renamed(change: Callable[[str], str]) -> Callable[[Sample], bytes]:
    """A harmless body, and before it what it says with the canary under a key that looks like its own."""

    def write(sample: Sample) -> bytes:
        key, value = next(item for item in sample.body(TEXT).items() if CANARY in repr(item[1]))
        return json.dumps({change(key): value, **sample.body("Hello")}).encode()

    return write


def nested(levels: int) -> bytes:
    return b'"x_note":' + b"[" * levels + b"]" * levels


REFUSED: dict[str, Callable[[Sample], bytes]] = {
    "a key twice, the last one clean": lambda sample: twice(sample, last=True),
    "a key twice, the first one clean": lambda sample: twice(sample, last=False),
    "a key twice, once escaped": lambda sample: twice(sample, last=False, escape=True),
    "a key in capitals": renamed(str.upper),
    "a key with one capital": renamed(str.capitalize),
    "a key with a long s or a Kelvin sign": lambda sample: added(
        b'"me\xc5\xbf\xc5\xbfages":"%b"' % CANARY.encode()
    )(sample).replace(b"}", b',"to\\u212Aens":"a","TOP_\\u212A":"b"}', 1),
    "a key that ends in a NUL": renamed(lambda key: f"{key}\0x"),
    "the canary as a key": added(b'"%b":1' % CANARY.encode()),
    "the canary as a key, escaped": added(b'"\\u0063%b":1' % CANARY[1:].encode()),
    "a byte order mark": around(b"\xef\xbb\xbf", b""),
    "UTF-16 with its mark": lambda sample: sample.sent().decode().encode("utf-16"),
    "UTF-16, little end first": lambda sample: sample.sent().decode().encode("utf-16-le"),
    "UTF-16, big end first": lambda sample: sample.sent().decode().encode("utf-16-be"),
    "UTF-32": lambda sample: sample.sent().decode().encode("utf-32"),
    "EBCDIC": lambda sample: sample.sent().decode().encode("cp037"),
    "a long form of a character": lambda sample: sample.sent().replace(b"@", b"\xc1\x80"),
    "surrogates in UTF-8": added(b'"x_note":"\xed\xa0\xbd\xed\xb8\x80"', TEXT),
    "half of a pair": added(b'"x_note":"\\ud83d"', TEXT),
    "halves in the wrong order": added(b'"x_note":"\\ude00\\ud83d"', TEXT),
    "NaN": added(b'"x_note":NaN', TEXT),
    "Infinity": added(b'"x_note":-Infinity', TEXT),
    "a number beyond doubles": added(b'"x_note":1e999', TEXT),
    "a number of five thousand digits": added(b'"x_note":' + b"9" * 5000, TEXT),
    "a number with a zero before it": added(b'"x_note":01', TEXT),
    "sixty-five levels": added(nested(65), TEXT),
    "a hundred thousand levels": added(nested(100_000), TEXT),
    "an open end of a hundred thousand levels": lambda sample: b"[" * 100_000,
    "another document behind it": around(b"", b'{"a":1}'),
    "a NUL behind it": around(b"", b"\0"),
    "a NUL before it": around(b"\0", b""),
    "a record separator before it": around(b"\x1e", b"\n"),
    "a guard against scripts": around(b")]}',\n", b""),
    "a comment": around(b"/* */", b"// end"),
    "a comma too many": added(b'"x_note":[1,]', TEXT),
    "single quotes": lambda sample: sample.sent().replace(b'"', b"'"),
    "a line end in a string": added(b'"x_note":"a\nb"', TEXT),
    "an escape that is none": added(b'"x_note":"\\x41"', TEXT),
    "a form feed between": around(b"\x0c", b""),
    "a no-break space between": around(b"\xc2\xa0", b""),
    "a list around it": around(b"[", b"]"),
    "a string around it": lambda sample: json.dumps(sample.sent().decode()).encode(),
    "base64": lambda sample: base64.b64encode(sample.sent()),
    "a form": lambda sample: b"json=" + quote(sample.sent()).encode(),
    "nothing": lambda sample: b"",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_could_take_for_two_things_is_refused(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, REFUSED[name](sample))
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=False)
        assert reply.status == 400, f"{sample}: {reply}"


def zipped(window: int) -> Callable[[bytes], bytes]:
    def write(body: bytes) -> bytes:
        packer = zlib.compressobj(wbits=window)
        return packer.compress(body) + packer.flush()

    return write


def plain(body: bytes) -> bytes:
    return body


ENCODED: dict[str, tuple[Callable[[bytes], bytes], tuple[Header, ...]]] = {
    "gzip": (gzip.compress, (("content-encoding", "gzip"),)),
    "gzip in capitals": (gzip.compress, (("content-encoding", "GZIP"),)),
    "x-gzip": (gzip.compress, (("content-encoding", "x-gzip"),)),
    "deflate": (zipped(15), (("content-encoding", "deflate"),)),
    "deflate without a head": (zipped(-15), (("content-encoding", "deflate"),)),
    "br": (plain, (("content-encoding", "br"),)),
    "zstd": (plain, (("content-encoding", "zstd"),)),
    "a list that ends in identity": (gzip.compress, (("content-encoding", "gzip, identity"),)),
    "a list that begins with identity": (gzip.compress, (("content-encoding", "identity, gzip"),)),
    "two fields": (gzip.compress, (("content-encoding", "identity"), ("content-encoding", "gzip"))),
    "gzip twice": (lambda b: gzip.compress(gzip.compress(b)), (("content-encoding", "gzip, gzip"),)),
    "a parameter": (gzip.compress, (("content-encoding", "gzip;q=1"),)),
    "said to be gzip": (plain, (("content-encoding", "gzip"),)),
    "aws-chunked": (plain, (("content-encoding", "aws-chunked"),)),
    "UTF-16": (
        lambda b: b.decode().encode("utf-16"),
        (("content-type", "application/json; charset=utf-16"),),
    ),
    "UTF-7": (lambda b: b.replace(b"@", b"+AEA-"), (("content-type", "application/json; charset=utf-7"),)),
    "Latin-1": (plain, (("content-type", "application/json; charset=iso-8859-1"),)),
    "two charsets": (plain, (("content-type", "application/json; charset=utf-8; charset=utf-16"),)),
    "a charset by RFC 8187": (plain, (("content-type", "application/json; charset*=utf-8''utf-16"),)),
    "another parameter": (plain, (("content-type", "application/json; boundary=x"),)),
    "two types": (plain, (("content-type", "application/json, text/plain"),)),
    "two fields of type": (plain, (("content-type", "application/json"), ("content-type", "text/plain"))),
    "text": (plain, (("content-type", "text/plain"),)),
    "a form": (plain, (("content-type", "application/x-www-form-urlencoded"),)),
    "JSON by another name": (plain, (("content-type", "text/json"),)),
    "JSON of a kind": (plain, (("content-type", "application/vnd.api+json"),)),
    "lines of JSON": (plain, (("content-type", "application/x-ndjson"),)),
    "MessagePack": (plain, (("content-type", "application/msgpack"),)),
    "bytes": (plain, (("content-type", "application/octet-stream"),)),
    "no type": (plain, (("content-type", ""),)),
}


@pytest.mark.parametrize("name", ENCODED)
def test_a_body_in_another_encoding_or_of_another_type_is_refused_unread(
    mallory: Attacker, name: str
) -> None:
    encode, headers = ENCODED[name]
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, encode(sample.sent()), *headers)
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=False)
        assert reply.status == 415, f"{sample}: {reply}"


def test_base64_of_a_text_with_a_canary_arrives_without_it(mallory: Attacker) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, sample.sent(base64.b64encode(TEXT.encode()).decode()))
        assert reply.status == 200, reply
        came: Any = mallory.upstream.requests[seen:]
        assert len(came) == 1
        assert not tells(came[0]), came[0].body
