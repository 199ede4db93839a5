"""A start that cannot be ends in one line that says what to do next, and never in a traceback."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.e2e.stack import CONFIG, environment, free_port
from tests.store.postgres_for_tests import PostgresForTests

from authz_cli.exits import Exit

KEYS = ("seal.key", "pseudonym.key", "mask.key", "log.key", "master.key", "issuer.pem")
SMALL_DISK = 24 * 1024
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresForTests]:
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


def configured(folder: Path, *, store: str = "sqlite:///authz.db") -> Path:
    """A configuration that nothing is wrong with."""
    values = {
        "wait": "5s",
        "use_within": "15m",
        "within": "30m",
        "votes": 1,
        "model_url": "http://127.0.0.1:9",
    }
    file = folder / "authz.yaml"
    file.write_text(CONFIG.format(port=free_port(), store=store.replace("{", "{{"), **values))
    return file


def serve(file: Path, *more: str, before: Callable[[], None] | None = None, verb: str = "serve") -> Ended:
    """What a start says that is over within seconds."""
    command = [sys.executable, "-m", "authz_cli.main", verb, "--config", str(file)]
    command += ["--data-dir", str(file.parent / "data"), *more]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        preexec_fn=before,
        check=False,
    )


def said(done: Ended, code: Exit) -> str:
    """The one line of the error."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("Error: ")


@pytest.mark.parametrize(
    "name", ["seal.key", "pseudonym.key", "mask.key", "log.key", "master.key", "issuer.pem"]
)
def test_a_broken_key_is_named_with_where_another_comes_from(tmp_path: Path, name: str) -> None:
    file = configured(tmp_path)
    (tmp_path / "data").mkdir(mode=0o700)
    key = tmp_path / "data" / name
    key.write_bytes(b"broken")
    key.chmod(0o600)
    line = said(serve(file), Exit.USAGE)
    assert str(key) in line
    assert any(step in line for step in ("backup", "remove it", "openssl rand"))


def test_a_configuration_that_is_no_text_is_refused_in_a_line(tmp_path: Path) -> None:
    file = configured(tmp_path)
    file.write_bytes(bytes(range(128, 256)))
    assert said(serve(file), Exit.USAGE) == f"{file}:1:1: not UTF-8"


def test_a_data_directory_that_cannot_be_made_is_refused_with_the_option(tmp_path: Path) -> None:
    line = said(serve(configured(tmp_path), "--data-dir", "/proc/authz"), Exit.USAGE)
    assert line.startswith("cannot make or open /proc/authz (")
    assert "--data-dir" in line


def test_a_full_disk_is_called_one(tmp_path: Path) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))

    line = said(serve(configured(tmp_path), before=fill), Exit.AWAY)
    assert "make room (df -h)" in line


def test_a_file_that_is_no_database_is_kept_as_evidence(tmp_path: Path) -> None:
    file = configured(tmp_path)
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "authz.db").write_bytes(b"nonsense" * 4096)
    line = said(serve(file), Exit.AWAY)
    assert "file is not a database" in line
    assert "keep the file as evidence and restore a backup" in line
    looked = serve(file, verb="doctor")
    assert "fail  record store: " in looked.stdout
    assert "next: keep the file as evidence and restore a backup" in looked.stdout


@pytest.mark.parametrize("what", ["metrics", "review"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, what: str) -> None:
    file = configured(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        certificates = tmp_path / "certs"
        command = [sys.executable, "-m", "authz_cli.main", "certs", str(certificates), "--host", "localhost"]
        subprocess.run(command, check=True, capture_output=True, env=environment())
        pem = ["--review-cert", f"{certificates}/service.crt", "--review-key", f"{certificates}/service.key"]
        more = ["--metrics", address] if what == "metrics" else ["--review", address, *pem]
        line = said(serve(file, *more), Exit.USAGE)
    assert address in line


@pytest.mark.postgres
def test_a_database_that_does_not_let_in_is_told_apart_from_one_that_is_away(
    postgres: PostgresForTests, tmp_path: Path
) -> None:
    away = said(serve(configured(tmp_path, store="postgresql://a@127.0.0.1:9/none")), Exit.AWAY)
    assert "Connection refused" in away
    assert away.endswith("is it running, and the url right?")
    nowhere = postgres.url("no_such_database")
    missing = said(serve(configured(tmp_path, store=nowhere)), Exit.AWAY)
    assert missing.endswith('(database "no_such_database" does not exist); create it, or correct the url')
    empty = said(serve(configured(tmp_path, store=postgres.url("postgres"))), Exit.USAGE)
    assert "authz store migrate" in empty


@pytest.mark.postgres
def test_a_database_of_a_newer_version_is_left_alone(postgres: PostgresForTests, tmp_path: Path) -> None:
    url = postgres.url(postgres.create())
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("UPDATE authz_schema SET version_num = '9999'")
    assert "upgrade this one" in said(serve(configured(tmp_path, store=url)), Exit.USAGE)


def test_what_databases_say_comes_with_what_to_do() -> None:
    from sqlalchemy.exc import OperationalError

    from authz_service.store.away import cannot_be_opened

    told = {
        'connection failed: FATAL:  password authentication failed for user "authz"': "PGPASSWORD",
        'connection failed: FATAL:  no pg_hba.conf entry for host "10.0.0.1"': "pg_hba.conf",
        "connection failed: FATAL:  sorry, too many clients already": "max_connections",
        "attempt to write a readonly database": "must be able to write",
        "something new": "see its own log",
    }
    for error, step in told.items():
        away = cannot_be_opened("it", OperationalError("SELECT 1", {}, Exception(error)), code="x")
        assert step in str(away).rpartition(";")[2], error


def test_values_that_a_database_repeats_are_not_said() -> None:
    from sqlalchemy.exc import IntegrityError

    from authz_service.store.away import cannot_be_opened

    error = IntegrityError("INSERT", {}, Exception("Failing row contains (secret)"))
    assert "secret" not in str(cannot_be_opened("it", error, code="x"))


def test_a_data_directory_that_is_served_already_is_refused_before_anything_is_opened(
    postgres: PostgresForTests, tmp_path: Path
) -> None:
    """A database for many has no lock of its own; the first would be taken for dead, and lose its socket."""
    file = configured(tmp_path, store=postgres.url(postgres.create()))
    command = [sys.executable, "-m", "authz_cli.main", "serve", "--config", str(file)]
    command += ["--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    ) as first:
        assert first.stdout is not None
        try:
            assert first.stdout.readline()  # its addresses: it serves
            sockets = {path: path.stat().st_ino for path in (tmp_path / "data" / "run").glob("*.sock")}
            for more in ((), ("--workers", "2")):
                line = said(serve(file, *more), Exit.USAGE)
                assert line.startswith(
                    f"another `authz serve` (process {first.pid}) runs on {tmp_path / 'data'}; "
                )
            assert {path: path.stat().st_ino for path in sockets} == sockets
        finally:
            first.kill()


def test_a_data_directory_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    file = configured(tmp_path)
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data").chmod(0o755)
    assert f"chmod 700 {tmp_path / 'data'}" in said(serve(file), Exit.USAGE)
