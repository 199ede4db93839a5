"""Forms that hide a canary: their fields arrive masked, as every server reads them, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.e2e.bypass import CANARY, TEXT, Attacker, Sample, attacker
from tests.e2e.plain import Header
from tests.e2e.stack import CONFIG
from tests.e2e.upstream_answers import whole

ALLOWED = "effect: allow}}"
PERMITTING = CONFIG.replace(ALLOWED, "effect: allow, permits: [audio]}}")
RECORDING = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
FORM: Header = ("content-type", "multipart/form-data; boundary=cut")
SAMPLES = [
    Sample(f"/v1/audio/{name}", lambda text: {"prompt": text}, whole({"text": "ok"}))
    for name in ("transcriptions", "translations")
]
Write = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    yield from attacker(tmp_path_factory.mktemp("forms"), PERMITTING)


def field(name: bytes, value: bytes, *headers: bytes) -> bytes:
    """One part, with its boundary before it."""
    lines = [b"--cut", b'Content-Disposition: form-data; name="%b"' % name, *headers, b"", value, b""]
    return b"\r\n".join(lines)


FILE = field(b'file"; filename="a.wav', RECORDING, b"Content-Type: audio/wav")
MODEL = field(b"model", b"llama")
END = b"--cut--\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join((FILE, MODEL, *parts, END))


def prompt(text: str = TEXT) -> bytes:
    return field(b"prompt", text.encode())


MASKED: dict[str, bytes] = {
    "a prompt": form(prompt()),
    "an unknown field": form(field(b"future", TEXT.encode())),
    "a list": form(field(b"future[]", b"Hello"), field(b"future[]", TEXT.encode())),
    "a type of its own": form(field(b"prompt", TEXT.encode(), b"Content-Type: text/plain; charset=utf-8")),
    "line ends": form(prompt(f"a\r\n{TEXT}\nb")),
    "zero-width characters": form(prompt("\u200b".join(CANARY))),
    "what looks like a field": form(prompt(f'Content-Disposition: form-data; name="a"\r\n\r\n{CANARY}')),
    "a filename": b"".join((FILE.replace(b"a.wav", CANARY.encode()), MODEL, END)),
}


@pytest.mark.parametrize("name", MASKED)
def test_what_a_server_reads_of_a_form_is_judged_as_it_reads_it(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        mallory.upstream.answer_with(sample.answer)
        reply = mallory.ask(sample, MASKED[name], FORM)
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)
        assert RECORDING in mallory.upstream.requests[-1].body, sample


REFUSED: dict[str, bytes] = {
    "a field twice": form(prompt("Hello"), prompt()),
    "a field in capitals": form(prompt("Hello"), field(b"Prompt", TEXT.encode())),
    "a name without quotes": form(prompt().replace(b'"prompt"', b"prompt")),
    "a name by RFC 8187": form(prompt().replace(b'name="prompt"', b"name*=utf-8''prompt")),
    "two names": form(prompt().replace(b'name="prompt"', b'name="a"; name="prompt"')),
    "an escaped name": form(prompt().replace(b'"prompt"', b'"\\prompt"')),
    "a folded header": form(prompt().replace(b"; name", b";\r\n name")),
    "a line feed alone": form(prompt().replace(b"\r\n", b"\n")),
    "base64 by name": form(field(b"prompt", b"aGVsbG8=", b"Content-Transfer-Encoding: base64")),
    "UTF-16": form(field(b"prompt", TEXT.encode("utf-16"), b"Content-Type: text/plain; charset=utf-16")),
    "UTF-7": form(field(b"prompt", TEXT.encode("utf-7"), b"Content-Type: text/plain; charset=utf-7")),
    "a charset for all": form(field(b"_charset_", b"utf-16"), prompt()),
    "parts within a part": form(
        field(b"prompt", TEXT.encode(), b"Content-Type: multipart/mixed; boundary=b")
    ),
    "a field before the first boundary": prompt()[5:] + form(prompt("Hello")),
    "a field after the end": form(prompt("Hello")) + prompt() + END,
    "an end twice": form(prompt("Hello")) + END,
    "a boundary with white space": form(prompt("Hello").replace(b"--cut", b"--cut  "), prompt()),
    "no end": form(prompt())[: -len(END)],
    "half an end": form(prompt())[:-3],
    "a file in a field's place": form(
        field(b'prompt"; filename="a.txt', TEXT.encode(), b"Content-Type: text/plain")
    ),
    "a field in the file's place": b"".join((MODEL, field(b"file", TEXT.encode()), END)),
    "JSON": b'{"model":"llama","prompt":"%b"}' % TEXT.encode(),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_with_two_readings_is_refused(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, REFUSED[name], FORM)
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=False)


TYPES = {
    "JSON": "application/json",
    "no boundary": "multipart/form-data",
    "another boundary": "multipart/form-data; boundary=other",
    "two boundaries": "multipart/form-data; boundary=other; boundary=cut",
    "a boundary by RFC 8187": "multipart/form-data; boundary*=utf-8''cut",
    "a boundary in pieces": "multipart/form-data; boundary*0=cu; boundary*1=t",
    "a charset": "multipart/form-data; charset=utf-16; boundary=cut",
    "mixed": "multipart/mixed; boundary=cut",
    "a form of another kind": "application/x-www-form-urlencoded",
}


@pytest.mark.parametrize("name", TYPES)
def test_a_form_by_another_name_is_refused(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, form(prompt()), ("content-type", TYPES[name]))
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=False)


def test_a_file_that_is_something_else_than_it_says_reaches_no_model(mallory: Attacker) -> None:
    image = FILE.replace(RECORDING, b"\x89PNG\r\n\x1a\n" + bytes(64))
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, b"".join((image, MODEL, END)), FORM)
        mallory.judge(f"{sample}", sample, seen, reply.status, masked=False)
