"""A key that is made has a scope: whoever names no model gets no key."""

from __future__ import annotations

import pytest

from authz_api.v1 import keys_pb2 as pb
from authz_service.errors import Unreadable
from authz_service.servers.key_requests import wanted
from authz_service.view.scope import Scope


def test_a_key_without_a_model_is_not_made_whatever_else_its_scope_has() -> None:
    request = pb.CreateKeyRequest(owner="olga", apis=["openai_chat"], paths=["/health"], tokens_per_day=9)
    with pytest.raises(Unreadable) as refused:
        wanted(request, models={"llama"}, apis={"openai_chat"})
    assert refused.value.code == "key_model_required"
    request.models.append("llama")
    scope = Scope.of(wanted(request, models={"llama"}, apis={"openai_chat"}).scope)
    assert (scope.has_model("llama"), scope.has_model("other")) == (True, False)


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unreadable):
        wanted(pb.CreateKeyRequest(owner="olga", models=["gone"]), models={"llama"}, apis=())
