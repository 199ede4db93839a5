"""What each built-in detector takes for a value and what not, and how a scanner is built."""

from __future__ import annotations

import pytest
from tests.masking.replacing import merge, replace

from authz_service.errors import Misconfigured
from authz_service.masking.detectors import build_scanner, builtin_names

_ALL = build_scanner()


def _masked(text: str) -> str:
    return replace(text, merge(_ALL.scan(text), _ALL.entities))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 4111 1111 1111 1111", "1 [CREDIT_CARD]"),
        ("4111 1111 1111 1111 2", "[CREDIT_CARD] 2"),
        ("1 4111 1111 1111 1111 2.", "1 [CREDIT_CARD] 2."),
        ("card:4111-1111-1111-1111", "card:[CREDIT_CARD]"),
        (r"{\"a\":\"x\n4111111111111111\"}", r"{\"a\":\"x\n[CREDIT_CARD]\"}"),
        ("4111\u00a01111\u00a01111\u00a01111", "[CREDIT_CARD]"),
        ("4111\u20111111\u20111111\u20111111", "[CREDIT_CARD]"),
        ("3782 822463 10005", "[CREDIT_CARD]"),
        ("6304000000000000000", "[CREDIT_CARD]"),
        ("5555 5555 5555 4444; 4111 1111 1111 1111", "[CREDIT_CARD]; [CREDIT_CARD]"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("14111111111111111", "14111111111111111"),
        ("411111111111111111111", "411111111111111111111"),
        ("0.4111111111111111", "0.4111111111111111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("0.4111 4111 1111 1111 1111", "0.4111 [CREDIT_CARD]"),
        ("14111 4111 1111 1111 1111", "14111 [CREDIT_CARD]"),
        ("3000 4111 1111 1111 1111", "[CREDIT_CARD]"),
        ("1700000000000 ms", "1700000000000 ms"),
    ],
)
def test_cards(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GB82 WEST 1234 5698 7654 32 is mine", "[IBAN_CODE] is mine"),
        ("GB82WEST12345698765432and more", "[IBAN_CODE]and more"),
        ("gb82 west 1234 5698 7654 32", "[IBAN_CODE]"),
        ("IBAN:DE89-3704-0044-0532-0130-00.", "IBAN:[IBAN_CODE]."),
        (r"\nNO9386011117947\n", r"\n[IBAN_CODE]\n"),
        ("MT84 MALT 0110 0001 2345 MTLC AST0 01S", "[IBAN_CODE]"),
        ("XGB82WEST12345698765432", "X[IBAN_CODE]"),
        ("GB83 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"),
        ("GB82 WEST 1234 5698 7654 3", "GB82 WEST 1234 5698 7654 3"),
        ("ZZ82 WEST 1234 5698 7654 32", "ZZ82 WEST 1234 5698 7654 32"),
    ],
)
def test_ibans(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("536-22-8726", "[US_SSN]"),
        (r"\n536 22 8726\n", r"\n[US_SSN]\n"),
        ("665-01-0001 667-01-0001 899-99-9999", "[US_SSN] [US_SSN] [US_SSN]"),
        *((bad, bad) for bad in ("000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000")),
        ("1536-22-8726", "1536-22-8726"),
        ("536-22-87261", "536-22-87261"),
    ],
)
def test_social_security_numbers(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1.", "[IP_ADDRESS]."),
        ("http://192.168.001.010:80/", "http://[IP_ADDRESS]:80/"),
        ("255.255.255.255 256.1.1.1 1.2.3.256", "[IP_ADDRESS] 256.1.1.1 1.2.3.256"),
        ("2001:db8::1, fe80::1:2%eth0", "[IP_ADDRESS], [IP_ADDRESS]%eth0"),
        ("[2001:DB8:0:0:0:0:0:1]:443", "[[IP_ADDRESS]]:443"),
        ("addr:2001:db8::1: yes", "addr:[IP_ADDRESS]: yes"),
        ("::ffff:a:b", "[IP_ADDRESS]"),
        ("64:ff9b::192.0.2.33", "[IP_ADDRESS]"),
        ("12:30:45 aa:bb:cc:dd:ee:ff", "12:30:45 [MAC_ADDRESS]"),
        ("x[::2] a::b std::deque Foo::bar() ::1", "x[::2] a::b std::deque Foo::bar() ::1"),
    ],
)
def test_ip_addresses(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<jane.doe+x@mail.example.co.uk>", "<[EMAIL_ADDRESS]>"),
        ("mailto:o'brien@example.com.", "mailto:[EMAIL_ADDRESS]."),
        ("jürgen@exämple.de", "[EMAIL_ADDRESS]"),
        ("a@b.xn--p1ai, x@example.com_y", "[EMAIL_ADDRESS], [EMAIL_ADDRESS]_y"),
        ("'jane@example.com' ..jane@example.com", "'[EMAIL_ADDRESS]' ..[EMAIL_ADDRESS]"),
        ("-%.@example.com", "-%.@example.com"),
        ("a" * 70 + "@example.com", "a" * 6 + "[EMAIL_ADDRESS]"),
        ("@decorator a@b user@localhost 5@3.5", "@decorator a@b user@localhost 5@3.5"),
    ],
)
def test_email_addresses(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize("kind", ["ghp", "gho", "ghu", "ghs", "ghr"])
def test_github_tokens(kind: str) -> None:
    token = kind + "_" + "a1B2c3D4e5F6" * 3
    assert _masked(f"x={token}; {token[:-1]}") == f"x=[GITHUB_TOKEN]; {token[:-1]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("github_pat_11ABCDEFG0" + "a" * 30, "[GITHUB_TOKEN]"),
        (r"\nAKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE", r"\n[AWS_ACCESS_KEY] [AWS_ACCESS_KEY]"),
        ("AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPL"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "Bearer [JWT]"),
        ("%3DeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_", "%3D[JWT]"),
        ("eyJhbGciOiJSU0EifQ.a2V5.48V1_ALb6US04U3b.5eym8TW_c8SuK0l.XFBoMYUZodetZdvTiFvSkQ", "[JWT]"),
        ("keyJsonObject.get.foo", "keyJsonObject.get.foo"),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize("newline", ["\n", "\\n", "\r\n"])
def test_private_keys(kind: str, newline: str) -> None:
    lines = [
        f"-----BEGIN {kind}PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA",
        "=",
        f"-----END {kind}PRIVATE KEY-----",
    ]
    key = newline.join(lines)
    assert _masked(f"a {key} b {key}") == "a [PRIVATE_KEY] b [PRIVATE_KEY]"
    assert _masked(f"a {key[:-3]}") == "a [PRIVATE_KEY]"


def test_public_keys_and_certificates_are_no_secrets() -> None:
    for kind in ("CERTIFICATE", "PUBLIC KEY"):
        text = f"-----BEGIN {kind}-----\nMIIB\n-----END {kind}-----"
        assert _masked(text) == text


def test_a_scanner_knows_the_entity_types_it_was_built_for() -> None:
    assert build_scanner().entities == builtin_names()
    assert build_scanner(["JWT"], [("EMPLOYEE_ID", r"E-\d{6}")]).entities == {"JWT", "EMPLOYEE_ID"}
    assert build_scanner([]).entities == frozenset()


def test_a_scanner_without_detectors_finds_nothing_and_holds_nothing() -> None:
    scanner = build_scanner([])
    assert scanner.scan("jane@example.com") == ()
    assert scanner.incremental().feed("jane@").settled == 5


def test_two_patterns_may_share_a_name() -> None:
    scanner = build_scanner([], [("ID", r"E-\d"), ("ID", r"F-\d")])
    assert [finding.entity for finding in scanner.scan("E-1 F-2")] == ["ID", "ID"]


def test_all_faults_of_the_detectors_are_reported_at_once() -> None:
    with pytest.raises(Misconfigured) as refused:
        build_scanner(["EMIAL"], [("JWT", "a"), ("X Y", "a"), ("BAD", "(?=a)"), ("GOOD", "a")])
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["EMIAL", "JWT", "X Y", "BAD"]
