"""Spellings of every API's path, and headers beside it: judged as one path, or no model hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.e2e.bypass import CANARY, SAMPLES, TEXT, Attacker, Sample, at_once, attacker
from tests.e2e.plain import Header
from tests.e2e.raw_client import RawClient

Spell = Callable[[str], str]


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    yield from attacker(tmp_path_factory.mktemp("paths"))


def letter(path: str) -> str:
    """The path's last letter, percent-encoded."""
    return f"{path[:-1]}%{ord(path[-1]):02x}"


SAME: dict[str, Spell] = {
    "slashes": lambda path: path.replace("/", "//"),
    "a dot": lambda path: f"/.{path}",
    "a way up": lambda path: f"/x/..{path}",
    "an encoded way up": lambda path: f"/x/%2e%2e{path}",
    "an encoded letter": letter,
    "backslashes": lambda path: "/" + path[1:].replace("/", "\\"),
    "another host": lambda path: f"http://elsewhere.example{path}",
    "a query": lambda path: f"{path}?note={CANARY}&beta=1",
    "an empty query": lambda path: f"{path}?",
    "a query with a path": lambda path: f"{path}?/../../health",
}


@pytest.mark.parametrize("name", SAME)
def test_another_spelling_is_judged_and_sent_as_the_path_that_it_means(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, sample.sent(), target=SAME[name](sample.path))
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)


OTHER: dict[str, Spell] = {
    "a slash at the end": lambda path: f"{path}/",
    "capitals": str.upper,
    "a first capital": lambda path: f"/{path[1:].capitalize()}",
    "a parameter": lambda path: f"{path};x=1",
    "a parameter before": lambda path: f"/;x=1{path}",
    "a space at the end": lambda path: f"{path}%20",
    "a line end": lambda path: f"{path}%0a",
    "a NUL": lambda path: f"{path}%00",
    "an encoded slash": lambda path: path[0] + path[1:].replace("/", "%2f") + "%2f",
    "a slash encoded twice": lambda path: f"/x%252f..{path}",
    "an encoded question": lambda path: f"{path}%3fa=b",
    "a letter encoded twice": lambda path: letter(path).replace("%", "%25"),
    "an overlong slash": lambda path: f"{path}%c0%af",
    "a full-width letter": lambda path: f"{path[:-1]}%ef%bd%81",
    "half an escape": lambda path: f"{path}%2",
    "a fragment": lambda path: f"{path}#x",
    "another below it": lambda path: f"{path}/batch",
    "another above it": lambda path: f"{path}/../files",
    "a prefix": lambda path: f"/proxy{path}",
    "another scheme": lambda path: f"https://gateway{path}",
    "a star": lambda path: "*",
    "no slash before it": lambda path: path[1:],
    "a suffix": lambda path: f"{path}.json",
}


@pytest.mark.parametrize("name", OTHER)
def test_what_only_looks_like_a_path_reaches_no_model(mallory: Attacker, name: str) -> None:
    def attack(sample: Sample) -> int | None:
        return status_of(mallory, sample, "POST", OTHER[name](sample.path))

    seen = mallory.seen()
    for sample, status in at_once(attack):
        mallory.judge(f"{sample}: {name}", sample, seen, status, masked=False)


def status_of(who: Attacker, sample: Sample, method: str, target: str) -> int | None:
    """The status of the answer; None where the connection closes without one."""
    sent = who.caller.head(method=method, target=target, size=len(sample.sent()))
    with RawClient(who.caller.stack.url) as client:
        client.send_what_is_taken(sent + sample.sent())
        answer = client.read_until(b"\r\n")
    return int(answer.split(b" ")[1]) if answer else None


METHODS = (
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "QUERY",
    "post",
)


@pytest.mark.parametrize("method", METHODS)
def test_another_method_reaches_no_model(mallory: Attacker, method: str) -> None:
    seen = mallory.seen()
    for sample, status in at_once(lambda sample: status_of(mallory, sample, method, sample.path)):
        assert status is None or status >= 400, f"{sample}: {status}"
        assert mallory.seen() == seen, f"{sample}: {mallory.upstream.requests[seen:]}"


SPOOFED: dict[str, tuple[Header, ...]] = {
    "what the gateway decides": (
        ("x-authz-model", "llama"),
        ("x-authz-decision", "allow"),
        ("x-authz-session", "ses_forged"),
        ("X-AUTHZ-SEAL", "forged"),
    ),
    "what Envoy says": (
        ("x-envoy-original-path", "/health"),
        ("x-envoy-original-method", "GET"),
        ("x-envoy-decorator-operation", "x"),
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-retry-on", "5xx"),
        ("x-envoy-internal", "true"),
        ("x-envoy-force-trace", "true"),
        ("x-envoy-ip-tags", CANARY),
    ),
    "who asks": (
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-client-cert", f"By={CANARY}"),
        ("x-forwarded-user", CANARY),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", f"for={CANARY}"),
        ("via", f"1.1 {CANARY}"),
    ),
    "what is asked": (
        ("x-original-url", "/health"),
        ("x-rewrite-url", "/health"),
        ("x-http-method-override", "GET"),
        ("x-forwarded-host", "elsewhere"),
        ("x-forwarded-prefix", "/x"),
        ("x-forwarded-proto", "https"),
    ),
    "how it is read": (
        ("accept-encoding", "gzip, br"),
        ("inference-header-content-length", "10"),
        ("content-md5", CANARY),
        ("content-disposition", f'attachment; filename="{CANARY}"'),
        ("content-location", f"/{CANARY}"),
        ("content-language", CANARY),
        ("range", "bytes=0-1"),
        ("te", "trailers, gzip"),
    ),
    "switches of other gateways": (
        ("x-litellm-disable-message-redaction", "true"),
        ("x-litellm-enable-message-redaction", "false"),
        ("x-portkey-config", "{}"),
        ("x-guardrails", "off"),
        ("x-authz-masks", "off"),
    ),
    "text where nobody looks": (
        ("user-agent", TEXT),
        ("openai-beta", TEXT),
        ("anthropic-beta", TEXT),
        ("anthropic-version", TEXT),
        ("idempotency-key", CANARY),
        ("accept", f"application/json; note={CANARY}"),
        ("x-custom", TEXT),
        ("referer", f"http://{CANARY}/"),
        ("baggage", f"note={CANARY}"),
        ("traceparent", CANARY),
    ),
}


@pytest.mark.parametrize("name", SPOOFED)
def test_headers_change_nothing_and_carry_nothing(mallory: Attacker, name: str) -> None:
    for sample in SAMPLES:
        seen = mallory.seen()
        reply = mallory.ask(sample, sample.sent(), *SPOOFED[name])
        mallory.judge(f"{sample}: {name}", sample, seen, reply.status, masked=True)
        assert reply.header("x-authz-session") != "ses_forged"


def test_without_a_token_or_with_two_no_model_hears_of_it(mallory: Attacker) -> None:
    tokens: tuple[tuple[Header, ...], ...] = (
        (),
        (("authorization", "Bearer x"),),
        (("authorization", f"Bearer {mallory.caller.token}"), ("x-api-key", "other")),
        (("authorization", f"Bearer {mallory.caller.token}, Bearer other"),),
    )
    for sample in SAMPLES:
        for headers in tokens:
            seen = mallory.seen()
            lines = [f"POST {sample.path} HTTP/1.1", "host: gateway", "content-type: application/json"]
            lines += [f"{key}: {value}" for key, value in headers]
            lines.append(f"content-length: {len(sample.sent())}")
            reply = mallory.caller.exactly(("\r\n".join(lines) + "\r\n\r\n").encode() + sample.sent())
            mallory.judge(f"{sample}: {len(headers)}", sample, seen, reply.status, masked=False)
            assert reply.status == 401, sample
