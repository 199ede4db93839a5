"""What Check takes with ten thousand API keys and the keys of a hundred issuers loaded."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import jwt
from bench.micro.check_load import AT_ONCE, PACE, CheckLoad, quantile
from bench.micro.figure import Figure, Room, cpu_seconds_each
from bench.processes import program, usage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz_service.core.api_keys import ApiKey
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.issuer import TrustedIssuer
from authz_service.identity.key_sources import FixedKeys
from authz_service.identity.keys import VerifyingKey, verifying_key
from authz_service.identity.verifier import Verifier
from authz_service.keys.api_key import ApiKeyHashes, new_api_key
from authz_service.keys.seal import Sealer
from authz_service.servers.ext_authz import ExtAuthz
from authz_service.servers.wire import ext_authz_pb2 as wire

API_KEYS = 10_000
ISSUERS = 100
KEYS_EACH = 3
TOKENS = 2_000
LEAST_CALLS = 200
"""Of which the p99 is told, however little time there is."""
LONGER = 4
"""Times the seconds of a figure for those over gRPC: a p99 is told of the worst hundredth, which are few."""

_HOUR = 3600


class _Uncounted:
    def count(self, source: str, code: str) -> None:
        raise AssertionError(f"refused: {code}")


@dataclass(frozen=True, slots=True)
class Doors:
    """Check with everything loaded, with next to nothing loaded, and requests that both admit."""

    full: ExtAuthz
    bare: ExtAuthz
    with_keys: list[wire.CheckRequest]
    with_tokens: list[wire.CheckRequest]
    unseen: Callable[[], wire.CheckRequest]


def checking(room: Room) -> Iterator[Figure]:
    """Requests with keys and with tokens, in no order; a token's verification is remembered."""
    loaded = doors()
    random = Random(1)

    def micros(check: ExtAuthz, requests: list[wire.CheckRequest]) -> float:
        seconds = cpu_seconds_each(lambda: _run(check, random.choice(requests)), seconds=room.seconds)
        return 1e6 * seconds

    few = loaded.with_keys[:1]
    yield Figure("Check with an API key, one known", micros(loaded.bare, few), "CPU µs")
    yield Figure(
        f"Check with an API key, {API_KEYS:,} known", micros(loaded.full, loaded.with_keys), "CPU µs"
    )
    for request in loaded.with_tokens:
        _run(loaded.full, request)
    yield Figure(
        f"Check with a token, {TOKENS:,} remembered", micros(loaded.full, loaded.with_tokens), "CPU µs"
    )
    first = cpu_seconds_each(lambda: _run(loaded.full, loaded.unseen()), seconds=room.seconds)
    yield Figure("Check with a new token, of a hundred issuers, signing it too", 1e6 * first, "CPU µs")
    mixed = [*loaded.with_keys, *loaded.with_tokens]
    of_cpu = _p99(lambda: _run(loaded.full, random.choice(mixed)), time.thread_time, room.seconds)
    yield Figure("p99 of Check, keys and tokens", 1e3 * of_cpu, "CPU ms")
    yield from _over_grpc(room)


def _over_grpc(room: Room) -> Iterator[Figure]:
    """Of a process of its own, by one that shares the machine with it."""
    folder = room.folder / "checking"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bench.micro.check_server", str(folder)]
    with program(command, log=folder / "log", is_ready=(folder / "ready").exists) as server:
        load = CheckLoad(folder, LONGER * room.seconds)
        load.warm(TOKENS)
        for name, way in ((f"{PACE} a second", load.paced), (f"{AT_ONCE} at once", load.saturating)):
            before, began = usage(server.pid).cpu_seconds, time.perf_counter()
            taken = way()
            cpu, seconds = usage(server.pid).cpu_seconds - before, time.perf_counter() - began
            yield Figure(f"Check over gRPC, {name}: p50", 1e3 * quantile(taken, 0.5), "ms")
            yield Figure(f"Check over gRPC, {name}: p99", 1e3 * quantile(taken, 0.99), "ms")
            yield Figure(f"Check over gRPC, {name}: the service", 1e6 * cpu / len(taken), "CPU µs")
        yield Figure(f"Check over gRPC, {AT_ONCE} at once", len(taken) / seconds, "/s")


def _run(check: ExtAuthz, request: wire.CheckRequest) -> None:
    """One Check to its end: nothing in it waits, so that no event loop is needed."""
    try:
        check.check(request).send(None)
    except StopIteration as done:
        if not done.value.HasField("ok_response"):
            raise AssertionError("a request was refused") from None
        return
    raise AssertionError("Check waited for something")


def _p99(work: Callable[[], None], clock: Callable[[], float], seconds: float) -> float:
    taken, end = list[float](), time.monotonic() + seconds
    while len(taken) < LEAST_CALLS or time.monotonic() < end:
        began = clock()
        work()
        taken.append(clock() - began)
    return sorted(taken)[len(taken) * 99 // 100]


def doors() -> Doors:
    """10,000 keys, 100 issuers with three keys each, and 2,000 tokens."""
    hashes, sealer = ApiKeyHashes(bytes(32)), Sealer(bytes(32))
    secrets = [new_api_key() for _ in range(API_KEYS)]
    many, one = ApiKeys(hashes), ApiKeys(hashes)
    many.take([_key(hashes, secret, number) for number, secret in enumerate(secrets)])
    one.take([_key(hashes, secrets[0], 0)])
    signers = [[Ed25519PrivateKey.generate() for _ in range(KEYS_EACH)] for _ in range(ISSUERS)]
    issuers = [_issuer(number, keys) for number, keys in enumerate(signers)]
    full = Verifier(issuers, review_audience="review", api_keys=many)
    bare = Verifier(issuers[:1], review_audience="review", api_keys=one)

    def token(number: int) -> wire.CheckRequest:
        issuer = number % ISSUERS
        key = number // ISSUERS % KEYS_EACH
        return _request(_signed(signers[issuer][key], issuer, key, number))

    numbers = iter(range(TOKENS, 1 << 40))
    return Doors(
        ExtAuthz(verifier=full, sealer=sealer, refusals=_Uncounted()),
        ExtAuthz(verifier=bare, sealer=sealer, refusals=_Uncounted()),
        [_request(secret) for secret in secrets],
        [token(number) for number in range(TOKENS)],
        lambda: token(next(numbers)),
    )


def _key(hashes: ApiKeyHashes, secret: str, number: int) -> ApiKey:
    now = time.time()
    return ApiKey(
        id=f"key_{number}",
        hash=hashes.of(secret),
        name=f"service-{number}",
        owner="olga",
        groups=("staff",),
        scope=("model:llama",),
        created_at=now,
        expires_at=now + 90 * 86_400,
        by="oscar",
    )


def _issuer(number: int, keys: list[Ed25519PrivateKey]) -> TrustedIssuer:
    def public(kid: int, key: Ed25519PrivateKey) -> VerifyingKey:
        return verifying_key(key.public_key(), type="OKP", curve="Ed25519", kid=str(kid), algorithm="EdDSA")

    return TrustedIssuer(
        url=f"https://issuer-{number}.example",
        audience="gateway",
        algorithms=("EdDSA",),
        keys=FixedKeys(*(public(kid, key) for kid, key in enumerate(keys))),
    )


def _signed(key: Ed25519PrivateKey, issuer: int, kid: int, number: int) -> str:
    now = int(time.time())
    claims = {
        "iss": f"https://issuer-{issuer}.example",
        "aud": "gateway",
        "sub": f"person-{number}",
        "groups": ["staff"],
        "iat": now,
        "exp": now + _HOUR,
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": str(kid)})


def _request(credential: str) -> wire.CheckRequest:
    request = wire.CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.host = "POST", "/v1/chat/completions", "gateway"
    http.header_map.headers.add(key="authorization", raw_value=f"Bearer {credential}".encode())
    http.header_map.headers.add(key="content-type", raw_value=b"application/json")
    return request
