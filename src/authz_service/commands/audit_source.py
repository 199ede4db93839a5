"""What the audit commands work on: the store, the log's key, and the checkpoints that were kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authz_service.audit.checkpoint import BadNote, VerifierKey, verified
from authz_service.audit.walk import Kept
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_service.store.checkpoint_file import read_all
from authz_service.store.record_reader import RecordReader, reading
from authz_service.store.verify_store import Verified


@dataclass(frozen=True, slots=True)
class Source:
    """A store's URL and the data directory of the service that writes it."""

    url: str
    data: DataDir
    config: Config

    @classmethod
    def of(cls, config: Path | None, data_dir: Path) -> Source:
        """By the configuration; see `configuration`."""
        from authz_service.cel.load import load_config
        from authz_service.store.location import store_url

        data = DataDir(data_dir.absolute())
        loaded = load_config(configuration(config, data)).config
        return cls(store_url(loaded, data), data, loaded)

    @contextmanager
    def reading(self) -> Iterator[RecordReader]:
        """A view of the store, and the keys that open its payloads; see `record_reader.reading`."""
        from authz_service.store.record_keys import reading_keys

        with reading_keys(self.config, self.data) as keys, reading(self.url, keys) as reader:
            yield reader

    def log_key(self) -> LogKey:
        """The key that signs; raises `Misconfigured` when this machine has none."""
        if not self.data.log_key.is_file():
            raise Misconfigured(
                f"there is no log key at {self.data.log_key}; name the data directory of the service with"
                " --data-dir, or the public key with --key"
            )
        return LogKey.load_or_create(self.data.log_key, "")


def signed_head(reader: RecordReader) -> Any:
    """The row of the record's head; raises `Misconfigured` where that is not signed yet."""
    head = reader.head()
    if head is None or not head.signature:
        raise Misconfigured("the record is not signed yet; start the service once with this data directory")
    return head


@contextmanager
def view(config: Path | None, data_dir: Path) -> Iterator[RecordReader]:
    """A view of the store as `Source.reading` gives it, for another process."""
    with Source.of(config, data_dir).reading() as reader:
        yield reader


def configuration(named: Path | None, data: DataDir) -> Path:
    """The file that was named, else authz.yaml here, else that of the data directory."""
    here = Path("authz.yaml")
    path = named or (here if here.is_file() else data.root / "authz.yaml")
    if not path.is_file():
        raise Misconfigured(f"there is no configuration at {path}; name it with --config")
    return path


def parse_keys(texts: Sequence[str]) -> list[VerifierKey]:
    """Verifier keys as they were given; raises `Misconfigured`."""
    try:
        return [VerifierKey.parse(text) for text in texts]
    except BadNote as error:
        raise Misconfigured(f"--key: {error}") from error


def read_kept(paths: Sequence[Path], keys: Sequence[VerifierKey], report: Verified) -> list[Kept]:
    """The checkpoints of these files that one of `keys` has signed; the others are told to `report`."""
    good: list[Kept] = []
    for path in paths:
        for source, found in read_all(path):
            if found is None:
                report.say(source, "is no checkpoint")
                continue
            try:
                checkpoint = verified(found.note, keys, is_ed25519_signature)
            except BadNote as error:
                report.say(source, str(error))
                continue
            if checkpoint.origin != keys[0].name:
                report.say(source, "is a checkpoint of another log")
                continue
            good.append(Kept(source, checkpoint.size, checkpoint.root, found.frontier))
    return good
