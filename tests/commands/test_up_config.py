"""`authz up` runs with the file that is named, or a starter that it never takes away from its editor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from authz_service.cel.load import load_config
from authz_service.commands.up_config import Chosen, choose, demo_port, names_at
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir


def read(path: Path) -> Config:
    return load_config(path).config


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path / "data")


class Listing(HTTPServer):
    """A model server that knows one answer."""

    body = b'{"data": [{"id": "llama3:8b"}, {"id": "qwen"}, {"id": "qwen"}]}'
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Listing

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def listing() -> Iterator[Listing]:
    with Listing(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def chosen(data: DataDir, *, config: Path | None = None, model_url: str | None = None) -> Chosen:
    return choose(config=config, model_url=model_url, data=data, load=read)


def test_without_a_file_the_starter_is_written_with_the_demo_model(data: DataDir) -> None:
    choice = chosen(data)
    assert choice.path == data.root / "authz.yaml"
    assert choice.is_starter
    assert [model.name for model in choice.config.models] == ["demo"]
    assert choice.demo_port == demo_port(choice.config)
    assert choice.path.stat().st_mode & 0o077 == 0


def test_the_demo_model_keeps_its_port_from_start_to_start(data: DataDir) -> None:
    assert chosen(data).demo_port == chosen(data).demo_port


def test_an_edited_starter_is_run_as_it_is(data: DataDir) -> None:
    path = chosen(data).path
    edited = path.read_text().replace("'staff' in", "'team' in")
    path.write_text(edited)
    choice = chosen(data)
    assert path.read_text() == edited
    assert not choice.is_starter
    assert choice.demo_port is not None


def test_an_edited_starter_is_not_overwritten_for_another_model(data: DataDir, listing: Listing) -> None:
    path = chosen(data).path
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(Misconfigured, match="was edited"):
        chosen(data, model_url=listing.url)


def test_a_model_server_is_asked_which_models_it_has(data: DataDir, listing: Listing) -> None:
    choice = chosen(data, model_url=f"{listing.url}/")
    assert [model.name for model in choice.config.models] == ["llama3:8b", "qwen"]
    assert {model.url for model in choice.config.models} == {listing.url}
    assert choice.demo_port is None


def test_a_starter_for_a_model_server_gives_way_to_the_demo_again(data: DataDir, listing: Listing) -> None:
    chosen(data, model_url=listing.url)
    assert [model.name for model in chosen(data).config.models] == ["demo"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"{}"),
        (200, b"[]"),
        (200, b'{"data": []}'),
        (404, b""),
        (200, b'{"data": [1]}'),
    ],
)
def test_a_server_that_lists_no_models_is_refused_with_the_next_step(
    listing: Listing, status: int, body: bytes
) -> None:
    listing.status, listing.body = status, body
    with pytest.raises(Misconfigured, match="--config"):
        names_at(listing.url)


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://127.0.0.1:1", "file:///etc/passwd"])
def test_a_url_where_no_model_server_is_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        names_at(url)


def test_a_named_file_is_run_and_nothing_is_written(data: DataDir, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(chosen(data).path.read_text())
    (data.root / "authz.yaml").unlink()
    choice = chosen(data, config=own)
    assert choice.path == own
    assert choice.demo_port is None
    assert not (data.root / "authz.yaml").exists()


def test_a_file_and_a_model_url_exclude_each_other(data: DataDir, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="exclude"):
        chosen(data, config=tmp_path / "own.yaml", model_url="http://127.0.0.1:1")
