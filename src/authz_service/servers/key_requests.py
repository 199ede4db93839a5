"""What operators ask of API keys, checked: names, scopes and times that can be had."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from authz_api.v1 import keys_pb2 as pb
from authz_service.errors import Unreadable
from authz_service.servers.review_requests import MAX_REASON
from authz_service.view.scope import EVERY, LONGEST_SCOPE, is_word

LONGEST_NAME = 512
MOST_GROUPS = 64
DEFAULT_LIFETIME = 90 * 86_400.0
SHORTEST_LIFETIME = 60.0
LONGEST_LIFETIME = 366 * 86_400.0
MOST_TOKENS = 10**12 - 1
LONGEST_OVERLAP = 30 * 86_400.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"key_[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that may be made. An empty `name` is that of its id."""

    name: str
    owner: str
    groups: tuple[str, ...]
    scope: tuple[str, ...]


def wanted(request: pb.CreateKeyRequest, *, models: Collection[str], apis: Collection[str]) -> Wanted:
    """Raises `Unreadable` for what is not clear, and for models and model APIs that do not exist."""
    if request.name and (not _NAME.fullmatch(request.name) or _ID.fullmatch(request.name)):
        message = "a name has 1 to 64 letters, digits, dots, dashes and underscores, and is no key's id"
        raise Unreadable(message, code="key_name_unreadable")
    for name in (request.owner, *request.groups):
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            message = f"name the owner, and groups if any, by 1 to {LONGEST_NAME} printable characters"
            raise Unreadable(message, code="key_owner_required")
    if len(request.groups) > MOST_GROUPS:
        raise Unreadable(f"a key has at most {MOST_GROUPS} groups", code="key_groups_too_many")
    if not request.models:
        raise Unreadable("name the models that the key may ask, or * for all", code="key_model_required")
    _require_known("model", request.models, models)
    _require_known("model API", request.apis, apis)
    scope = _words(request)
    if len(scope) > LONGEST_SCOPE or not all(map(is_word, scope)):
        message = f"a scope has at most {LONGEST_SCOPE} words; a path begins with / and has no spaces"
        raise Unreadable(message, code="key_scope_unreadable")
    return Wanted(request.name, request.owner, tuple(dict.fromkeys(request.groups)), scope)


def ends_at(
    request: pb.CreateKeyRequest | pb.RotateKeyRequest, *, now: float, lifetime: float = DEFAULT_LIFETIME
) -> float:
    """When the key expires; `lifetime` (seconds) is for a request that does not say."""
    if not request.HasField("expires_at"):
        return now + max(lifetime, SHORTEST_LIFETIME)
    at = float(request.expires_at.seconds)
    if not now + SHORTEST_LIFETIME <= at <= now + LONGEST_LIFETIME:
        raise Unreadable(
            "a key expires in a minute at the earliest, in 366 days at the latest", code="key_expiry"
        )
    return at


def overlap_of(request: pb.RotateKeyRequest) -> float:
    """How long the old key goes on, in seconds."""
    overlap = request.overlap.seconds + request.overlap.nanos / 1e9
    if not 0 <= overlap <= LONGEST_OVERLAP:
        raise Unreadable("keys overlap for 30 days at most", code="key_overlap")
    return overlap


def given_reason(text: str) -> str:
    """Raises `Unreadable` for none, and for one that is too long."""
    if not text.strip() or len(text) > MAX_REASON:
        raise Unreadable(f"give a reason of at most {MAX_REASON} characters", code="reason_required")
    return text


def _words(request: pb.CreateKeyRequest) -> tuple[str, ...]:
    kinds = (("model", request.models), ("api", request.apis), ("path", request.paths))
    if any(path != EVERY and not path.startswith("/") for path in request.paths):
        raise Unreadable("a path begins with /", code="key_scope_unreadable")
    words = tuple(dict.fromkeys(f"{kind}:{name}" for kind, names in kinds for name in names))
    tokens = request.tokens_per_day
    if not 0 <= tokens <= MOST_TOKENS:
        raise Unreadable(f"a budget is of 1 to {MOST_TOKENS} tokens a day", code="key_scope_unreadable")
    return (*words, f"tokens:{tokens}") if tokens else words


def _require_known(what: str, names: Sequence[str], known: Collection[str]) -> None:
    """A key for what does not exist would be one for whatever gets that name later."""
    strange = [name for name in names if name != EVERY and name not in known]
    if strange:
        message = (
            f"there is no {what} {strange[0]!r} here; there are {', '.join(sorted(known))}, and * for all"
        )
        raise Unreadable(message, code="key_scope_unknown")
