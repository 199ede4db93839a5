"""What of a request is no text and was not read: of which kind, how large, and its digest."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from authz_service.errors import Unreadable
from authz_service.view.kept import Kept


class Kind(StrEnum):
    """What content is that this gateway does not read. A rule permits it by this name.

    MALFORMED is what should be one of the others and cannot be decoded without doubt; no rule permits it.
    """

    TOKENS = "tokens"
    VECTORS = "vectors"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"
    REFERENCE = "reference"
    STORE = "store"
    TEMPLATE = "template"
    CODE = "code"
    ENCRYPTED = "encrypted"
    MALFORMED = "malformed"


PERMITTABLE = frozenset(Kind) - {Kind.MALFORMED}
MEDIA = frozenset({Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.FILE})

_SAME = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/mpga": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
}
"""Other names of a media type, each with the one that is used here."""


def usual_type(media_type: str) -> str:
    """A media type without parameters, in lower case, by its usual name."""
    name = media_type.partition(";")[0].strip().lower()
    return _SAME.get(name, name)


@dataclass(frozen=True, slots=True)
class Unread:
    """One value that was not read.

    `place` says where it stands, without any word of the caller's own. `size` counts bytes, and `sha256`
    (hex) is over them: those that were decoded of media, those of the canonical JSON of anything else.
    `type` is the media type that the content itself shows, "" where it shows none; `declared` the one that
    the request gives. `scheme` is that of a URL ("https"). `code` and `message` are what the caller reads
    when no rule permits it. `kept` is the result of another exchange that it names, where it names one: that
    a rule permits it is not enough then.
    """

    kind: Kind
    path: tuple[str | int, ...]
    place: str
    size: int
    sha256: str
    type: str = ""
    declared: str = ""
    scheme: str = ""
    code: str = "unsupported_content"
    message: str = ""
    kept: Kept | None = None

    @property
    def mismatch(self) -> bool:
        """Whether the content is something other than what the request says that it is."""
        return bool(self.declared and self.type) and usual_type(self.declared) != self.type

    @property
    def needs(self) -> frozenset[Kind]:
        """The kinds that must be permitted, all of them.

        Media count as what the field says and as what the content shows, since a model server may go by
        either; what shows nothing counts as a file.
        """
        return frozenset({self.kind, _kind_of(self.type)}) if self.kind in MEDIA else frozenset({self.kind})

    def summary(self) -> dict[str, str | int | bool]:
        """What people and the record see."""
        return {
            "kind": self.kind.value,
            "type": self.type,
            "declared": self.declared,
            "mismatch": self.mismatch,
            "scheme": self.scheme,
            "size": self.size,
            "sha256": self.sha256,
            "path": self.place,
        }


def require_permitted(unread: Iterable[Unread], permits: Collection[Kind]) -> None:
    """Raise `Unreadable` for the first value that needs a kind which is not among `permits`."""
    for value in unread:
        if not value.needs <= frozenset(permits) & PERMITTABLE:
            raise Unreadable(value.message, code=value.code)


def _kind_of(media_type: str) -> Kind:
    family = media_type.partition("/")[0]
    return Kind(family) if family in ("image", "audio", "video") else Kind.FILE
