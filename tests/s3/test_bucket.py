"""Checkpoints to a server that speaks S3's API and knows object lock: moto's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from minio import Minio
from minio.error import S3Error
from tests.e2e.people import until
from tests.e2e.stack import CONFIG, Stack, free_port
from tests.s3.setup_moto import SERVER
from tests.started_server import StartedServer

from authz_service.audit.checkpoint import Checkpoint
from authz_service.config.record_values import Bucket
from authz_service.runtime.checkpoint_delivery import Delivery, NotDelivered
from authz_service.runtime.checkpoint_receivers import receiver_of

DAY = 86_400.0
DELIVERY = Delivery("example.com/log\n7\n", Checkpoint("example.com/log", 7, bytes(32)), None, ())
NAME = "authz/000000000000000007.checkpoint"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "the-secret"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert SERVER.exists(), f"{SERVER} is missing; `make e2e-s3` installs it"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = StartedServer("moto", f"{url}/moto-api/", tmp_path_factory.mktemp("moto") / "moto.log")
    server.start([str(SERVER), "-H", "127.0.0.1", "-p", str(port)], without="AWS_")
    yield url
    server.end()


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Minio:
    """The operator's client, beside ours; with a bucket of each kind."""
    key, secret = CREDENTIALS.values()
    address = endpoint.removeprefix("http://")
    client = Minio(address, access_key=key, secret_key=secret, region="eu-central-1", secure=False)
    client.make_bucket("locked", object_lock=True)
    client.make_bucket("open")
    return client


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def deliver(endpoint: str, bucket: str, retain: float | None = DAY) -> None:
    settings = Bucket(bucket, "authz/", "eu-central-1", endpoint, retain)
    asyncio.run(receiver_of(settings).deliver(DELIVERY))


def versions(s3: Minio, bucket: str) -> list[str]:
    found = s3.list_objects(bucket, prefix=NAME, include_version=True)
    return [str(each.version_id) for each in found if not each.is_delete_marker]


def read(s3: Minio, bucket: str, name: str, version: str | None = None) -> str:
    response = s3.get_object(bucket, name, version_id=version)
    try:
        return response.data.decode()
    finally:
        response.close()
        response.release_conn()


def test_a_checkpoint_is_locked_and_neither_taken_away_nor_written_over(s3: Minio, endpoint: str) -> None:
    deliver(endpoint, "locked")
    (version,) = versions(s3, "locked")
    said = s3.stat_object("locked", NAME, version_id=version).metadata or {}
    assert said["x-amz-object-lock-mode"] == "COMPLIANCE"
    until_when = datetime.fromisoformat(said["x-amz-object-lock-retain-until-date"])
    assert timedelta(hours=23) < until_when - datetime.now(UTC) <= timedelta(days=1)
    with pytest.raises(S3Error, match="AccessDenied"):
        s3.remove_object("locked", NAME, version_id=version)
    s3.remove_object("locked", NAME)  # hides it behind a marker, and takes nothing
    s3.put_object("locked", NAME, BytesIO(b"another"), 7)
    assert version in versions(s3, "locked")
    assert read(s3, "locked", NAME, version) == DELIVERY.text


def test_a_bucket_without_object_lock_refuses_what_is_to_be_locked(s3: Minio, endpoint: str) -> None:
    with pytest.raises(NotDelivered, match=r"InvalidRequest.*must have object lock"):
        deliver(endpoint, "open")
    assert versions(s3, "open") == []
    deliver(endpoint, "open", retain=None)
    assert read(s3, "open", NAME) == DELIVERY.text


def test_a_bucket_that_is_not_there_is_named_by_its_code(endpoint: str) -> None:
    with pytest.raises(NotDelivered, match="refuses: NoSuchBucket"):
        deliver(endpoint, "nowhere")


def test_a_service_keeps_its_checkpoints_in_the_bucket(
    s3: Minio, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    receiver = (
        f"{{{{s3: locked, prefix: service/, region: eu-central-1, endpoint: '{endpoint}', retain: 1d}}}}"
    )
    config = f"{CONFIG}record: {{{{checkpoints: {{{{every: 1s, to: [{receiver}]}}}}}}}}\n"
    folder = tmp_path_factory.mktemp("gateway")
    with Stack(folder, config=config, environment=CREDENTIALS) as stack:

        def kept() -> list[str]:
            return [str(each.object_name) for each in s3.list_objects("locked", prefix="service/")]

        name = until(kept, "a checkpoint in the bucket")[-1]
        lines = (stack.data / "checkpoints" / "checkpoints.jsonl").read_text().splitlines()
        assert read(s3, "locked", name) in [json.loads(line)["checkpoint"] for line in lines]
