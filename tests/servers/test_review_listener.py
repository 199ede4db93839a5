"""Where the review API may be served: a private socket or TLS, and nothing else."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import NO_REVISER
from tests.servers.review_people import NOW, GroupRoles, People

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.config.gateway_values import Tls
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Misconfigured
from authz_service.keys.certificates import make_certificates
from authz_service.servers.review import ReviewServer

METADATA = (("authorization", "Bearer token-rita"),)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "review.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    found = Tls(folder / "cert.pem", folder / "key.pem")
    found.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return found


def server() -> ReviewServer:
    return ReviewServer(
        MemoryStore(), People(), GroupRoles(), limits=HoldLimits, reviser=NO_REVISER, clock=lambda: NOW
    )


async def serve_briefly(address: str, tls: Tls | None = None) -> str:
    async with server().serve(address, tls=tls) as bound:
        return bound


def test_plain_tcp_is_refused(thread: LoopThread) -> None:
    with pytest.raises(Misconfigured, match="plain TCP"):
        thread.run(serve_briefly("127.0.0.1:0"))


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_socket_in_a_directory_that_others_can_enter_is_refused(
    thread: LoopThread, tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 700"):
        thread.run(serve_briefly(f"unix:{tmp_path / 'review.sock'}"))


def test_a_directory_that_is_not_there_is_refused(thread: LoopThread, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="chmod 700"):
        thread.run(serve_briefly(f"unix:{tmp_path / 'none' / 'review.sock'}"))


def test_over_tls_it_is_served_to_those_who_trust_its_authority(thread: LoopThread, tls: Tls) -> None:
    serving = server().serve("127.0.0.1:0", tls=tls)
    address = thread.run(serving.__aenter__())
    try:
        trusting = grpc.ssl_channel_credentials(tls.cert.read_bytes())
        with grpc.secure_channel(address, trusting) as channel:
            HoldServiceStub(channel).ListHolds(pb.ListHoldsRequest(), metadata=METADATA)
        other = grpc.secure_channel(address, grpc.ssl_channel_credentials())
        with other as channel, pytest.raises(grpc.RpcError):
            HoldServiceStub(channel).ListHolds(pb.ListHoldsRequest(), metadata=METADATA, timeout=10)
    finally:
        thread.run(serving.__aexit__(None, None, None))


def test_a_port_that_is_taken_is_an_error_that_says_so(thread: LoopThread, tls: Tls) -> None:
    async def twice() -> None:
        async with server().serve("127.0.0.1:0", tls=tls) as bound, server().serve(bound, tls=tls):
            raise AssertionError("two servers on one port")

    with pytest.raises(Misconfigured, match="another server"):
        thread.run(twice())


def test_a_certificate_that_cannot_be_read_is_named(thread: LoopThread, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.pem"):
        thread.run(serve_briefly("127.0.0.1:0", Tls(tmp_path / "none.pem", tmp_path / "none.key")))


def test_a_new_certificate_is_shown_to_new_connections_and_half_of_one_is_not(
    thread: LoopThread, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("served", "second")]
    for folder in folders:
        make_certificates(folder, ["127.0.0.1"], days=2)
    served = folders[0]
    first, second = ((folder / "service.crt").read_text() for folder in folders)
    serving = server().serve("127.0.0.1:0", tls=Tls(served / "service.crt", served / "service.key"))
    address = thread.run(serving.__aenter__())
    try:
        trusting = grpc.ssl_channel_credentials((served / "authority.crt").read_bytes())
        with grpc.secure_channel(address, trusting) as channel:
            HoldServiceStub(channel).ListHolds(pb.ListHoldsRequest(), metadata=METADATA)
            assert shown(address) == first
            (folders[1] / "service.crt").replace(served / "service.crt")
            assert shown(address) == first
            (served / "service.key").write_text("no key")
            assert shown(address) == first
            (folders[1] / "service.key").replace(served / "service.key")
            assert shown(address) == second
            (served / "service.key").unlink()
            assert shown(address) == second
            HoldServiceStub(channel).ListHolds(pb.ListHoldsRequest(), metadata=METADATA)
    finally:
        thread.run(serving.__aexit__(None, None, None))


def shown(address: str) -> str:
    host, port = address.split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=60)


def test_a_key_of_another_certificate_is_refused_at_the_start(thread: LoopThread, tmp_path: Path) -> None:
    make_certificates(tmp_path / "tls", ["127.0.0.1"], days=2)
    tls = Tls(tmp_path / "tls" / "service.crt", tmp_path / "tls" / "envoy.key")
    with pytest.raises(Misconfigured, match=r"envoy\.key are no certificate and its key"):
        thread.run(serve_briefly("127.0.0.1:0", tls))


def test_a_server_that_failed_to_start_leaves_no_task_behind(thread: LoopThread) -> None:
    async def tasks_after_failure() -> set[str]:
        with pytest.raises(Misconfigured):
            await serve_briefly("127.0.0.1:0")
        return {task.get_name() for task in asyncio.all_tasks()}

    assert "review-feed" not in thread.run(tasks_after_failure())


def test_a_socket_that_a_killed_server_left_is_taken_over(thread: LoopThread, tmp_path: Path) -> None:
    import socket

    tmp_path.chmod(0o700)
    path = tmp_path / "review.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    assert thread.run(serve_briefly(f"unix:{path}")) == f"unix:{path}"
