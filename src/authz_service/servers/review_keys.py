"""The KeyService of authz.v1: operators make, rotate and revoke API keys, each change on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

import orjson

from authz_api.v1 import keys_pb2 as pb
from authz_api.v1.keys_pb2_grpc import KeyServiceServicer
from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.core.api_keys import ApiKey, ApiKeyStore
from authz_service.core.entries import caller_payload
from authz_service.errors import Conflict, NotFound
from authz_service.keys.api_key import ApiKeyHashes, new_api_key
from authz_service.keys.ids import new_id
from authz_service.servers.key_requests import ends_at, given_reason, overlap_of, wanted
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_messages import timestamp
from authz_service.view.caller import Caller


@dataclass(frozen=True, slots=True)
class KeyReview(KeyServiceServicer):
    """`refresh` has this process know of a change before the call is answered; `now` is the store's clock.

    `models` are the names and aliases of the configuration in force, `apis` all model APIs.
    """

    store: ApiKeyStore
    calls: Calls
    hashes: ApiKeyHashes
    refresh: Callable[[], Awaitable[None]]
    now: Callable[[], Awaitable[float]]
    models: Callable[[], Collection[str]]
    apis: Collection[str]

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        """Make one; its secret leaves here and nowhere else."""
        async with answering(context):
            person = await self._operator(context)
            asked = wanted(request, models=self.models(), apis=self.apis)
            now, secret, key_id = await self.now(), new_api_key(), new_id("key")
            key = ApiKey(
                id=key_id,
                hash=self.hashes.of(secret),
                name=asked.name or key_id,
                owner=asked.owner,
                groups=asked.groups,
                scope=asked.scope,
                created_at=now,
                expires_at=ends_at(request, now=now),
                by=_name(person),
            )
            made = await self.store.create_key(key, _made(Kind.API_KEY_CREATED, key, person))
            await self.refresh()
            return pb.CreateKeyResponse(key=_message(made), secret=secret)

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        """Make one in the place of another."""
        async with answering(context):
            person = await self._operator(context)
            now, secret = await self.now(), new_api_key()
            old = await self._named(request.key, now)
            if old.is_damaged:
                message = f"what is stored of {old.id} is damaged: revoke it, and make another key"
                raise Conflict(message, code="key_damaged")
            until = min(old.expires_at, now + overlap_of(request))
            lifetime = old.expires_at - old.created_at
            key = replace(
                old,
                id=new_id("key"),
                hash=self.hashes.of(secret),
                created_at=now,
                expires_at=ends_at(request, now=now, lifetime=lifetime),
                by=_name(person),
                replaces=old.id,
                used_at=None,
            )
            entry = _made(Kind.API_KEY_ROTATED, key, person, replaced_until=int(until))
            made = await self.store.rotate_key(key, entry, until=until)
            await self.refresh()
            return pb.RotateKeyResponse(
                key=_message(made), secret=secret, replaced_until=timestamp(int(until))
            )

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        """End one."""
        async with answering(context):
            person = await self._operator(context)
            reason = given_reason(request.reason)
            key = await self._named(request.key, await self.now())
            payloads = {"operator": caller_payload(person), "reason": orjson.dumps({"reason": reason})}
            entry = EntryDraft(
                Kind.API_KEY_REVOKED,
                data={"key": key.id},
                payloads=payloads,
                subjects={"operator": person.identity},
            )
            ended = await self.store.revoke_key(key.id, entry)
            await self.refresh()
            return pb.RevokeKeyResponse(key=_message(ended))

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        """All that there are."""
        async with answering(context):
            await self._operator(context)
            now, keys = await self.now(), await self.store.api_keys()
            listed = [
                key
                for key in keys
                if (request.include_ended or _is_shown(key, now)) and request.owner in ("", key.owner)
            ]
            return pb.ListKeysResponse(keys=map(_message, listed))

    async def _operator(self, context: Context) -> Caller:
        standing = await self.calls.standing(context)
        standing.require_operator()
        return standing.person

    async def _named(self, text: str, now: float) -> ApiKey:
        """The key with this id, or the one in force with this name."""
        keys = await self.store.api_keys()
        for key in keys:
            if key.id == text:
                return key
        named = [key for key in keys if key.name == text]
        live = [key for key in named if _is_live(key, now)]
        if len(live) > 1:
            ids = ", ".join(key.id for key in live)
            raise Conflict(
                f"{len(live)} keys named {text} are in force; say which: {ids}", code="key_ambiguous"
            )
        if not named:
            raise NotFound("there is no API key with this id or name", code="key_not_found")
        return (live or named)[0]


def _is_shown(key: ApiKey, now: float) -> bool:
    """One that is in force; or damaged, and so to be revoked."""
    return _is_live(key, now) or (key.is_damaged and key.revoked_at is None)


def _is_live(key: ApiKey, now: float) -> bool:
    return key.revoked_at is None and now < key.expires_at and not key.is_damaged


def _name(person: Caller) -> str:
    return person.person or person.subject


def _made(kind: Kind, key: ApiKey, person: Caller, *, replaced_until: int | None = None) -> EntryDraft:
    """Whose and by whom are payloads: entries themselves carry no personal data."""
    words: list[str | int | bool | None] = list(key.scope)
    data: Data = {
        "key": key.id,
        "hash": key.hash.hex(),
        "expires": int(key.expires_at),
        "scope": words,
        "replaces": key.replaces,
        "replaced_until": replaced_until,
    }
    what = {"name": key.name, "owner": key.owner, "groups": list(key.groups)}
    payloads = {"operator": caller_payload(person), "key": orjson.dumps(what)}
    return EntryDraft(kind, data=data, payloads=payloads, subjects={"operator": person.identity})


def _message(key: ApiKey) -> pb.Key:
    message = pb.Key(
        id=key.id,
        name=key.name,
        owner=key.owner,
        groups=key.groups,
        scope=key.scope,
        created_at=timestamp(key.created_at),
        expires_at=timestamp(int(key.expires_at)),
        created_by=key.by,
        replaces=key.replaces or "",
        revoked_by=key.revoked_by,
        reason=key.reason,
        is_damaged=key.is_damaged,
    )
    if key.revoked_at is not None:
        message.revoked_at.CopyFrom(timestamp(key.revoked_at))
    if key.used_at is not None:
        message.last_used_at.CopyFrom(timestamp(key.used_at))
    return message
