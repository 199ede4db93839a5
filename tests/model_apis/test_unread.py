"""What is no text is noted by kind; the text around it is read as before, and nothing is lost between."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.model_apis.anthropic import MESSAGES, Anthropic
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.llamacpp import COMPLETION, LlamaCpp
from authz_service.model_apis.ollama import CHAT, GENERATE, Ollama
from authz_service.model_apis.open_inference import OpenInference
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.openai_completions import COMPLETIONS, OpenAiCompletions
from authz_service.model_apis.openai_embeddings import EMBEDDINGS, OpenAiEmbeddings
from authz_service.model_apis.openai_refused import KINDS
from authz_service.model_apis.openai_words import CHAT_REFUSED
from authz_service.model_apis.registry import ADAPTERS
from authz_service.model_apis.request_unread import MOST_UNREAD
from authz_service.model_apis.tgi import GENERATE as TGI_GENERATE
from authz_service.model_apis.tgi import Tgi
from authz_service.view.kept import Kept, Result
from authz_service.view.request import RequestView
from authz_service.view.unread import PERMITTABLE, Kind, Unread, require_permitted

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)).decode()
WAV = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(20)).decode()
RAW = base64.b64encode(b"nothing that anybody knows").decode()


def chat(content: Any = "hi", **more: Any) -> RequestView:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **more}
    return OpenAiChat().read_request(CHAT_COMPLETIONS, body)


def messages(*blocks: Any) -> RequestView:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(blocks)}]}
    return Anthropic().read_request(MESSAGES, body)


def said(view: RequestView) -> list[str]:
    return [text.text for text in view.texts]


def one(view: RequestView) -> Unread:
    (unread,) = view.unread
    return unread


def test_an_image_is_noted_and_what_surrounds_it_is_text() -> None:
    url = {"url": f"data:image/jpeg;base64,{PNG}", "detail": "high"}
    view = chat(
        [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": url, "note": "a"}]
    )
    assert said(view) == ["what is it?", "high", "note", "a"]
    assert one(view).summary() == {
        "kind": "image",
        "type": "image/png",
        "declared": "image/jpeg",
        "mismatch": True,
        "scheme": "",
        "size": 36,
        "sha256": one(view).sha256,
        "path": "messages[0].content[1].image_url.url",
    }
    assert one(view).message.startswith("messages[0].content[1]: a part of type image_url is not text")
    assert one(view).code == "unsupported_content"


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.mark.parametrize("key", ["text", "refusal", "thinking"])
def test_a_part_that_is_left_unread_has_no_text_where_others_have_theirs(key: str) -> None:
    around = [{"type": "text", "text": "alice@exa"}, {"type": "text", "text": "mple.com"}]
    for text in (" \n ", "x"):
        with pytest.raises(
            Unreadable, match=rf"content\[1\]\.{key}: a part of this type has no text"
        ) as caught:
            chat([around[0], {**IMAGE, key: text}, around[1]])
        assert (caught.value.code, caught.value.status) == ("invalid_field", 400)
    for nothing in ("", None):
        assert one(chat([around[0], {**IMAGE, key: nothing}, around[1]])).kind is Kind.IMAGE


@pytest.mark.parametrize(
    ("part", "kind", "media_type"),
    [
        ({"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}, Kind.IMAGE, "image/png"),
        ({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}, Kind.AUDIO, "audio/wav"),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}, Kind.FILE, "application/pdf"),
        ({"type": "file", "file": {"file_id": "file-1"}}, Kind.REFERENCE, ""),
        ({"type": "video_url", "video_url": {"url": "https://example.com/v"}}, Kind.REFERENCE, ""),
        ({"type": "image_url", "image_url": None, "uuid": "earlier"}, Kind.REFERENCE, ""),
        ({"type": "image_embeds", "image_embeds": "AAAA"}, Kind.VECTORS, ""),
        ({"type": "image_url", "image_url": {"url": "data:image/png,x"}}, Kind.MALFORMED, ""),
    ],
)
def test_each_part_of_a_chat_has_its_kind(part: Any, kind: Kind, media_type: str) -> None:
    unread = one(chat([part]))
    assert (unread.kind, unread.type) == (kind, media_type)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, Kind.IMAGE),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}, Kind.REFERENCE),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Kind.REFERENCE),
        ({"type": "document", "source": {"type": "base64", "data": PDF}}, Kind.FILE),
        ({"type": "document", "source": {"type": "url", "url": "https://example.com"}}, Kind.REFERENCE),
        ({"type": "redacted_thinking", "data": "sealed"}, Kind.ENCRYPTED),
        ({"type": "container_upload", "file_id": "file_1"}, Kind.REFERENCE),
        ({"type": "text", "text": "x", "encrypted_index": "y"}, Kind.ENCRYPTED),
    ],
)
def test_each_block_of_a_message_has_its_kind(block: Any, kind: Kind) -> None:
    assert one(messages(block)).kind is kind


def test_what_a_tool_returned_may_hold_an_image_too() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}, image]}
    view = messages(result)
    assert one(view).place == "messages[0].content[0].content[1].source.data"
    assert "a" in said(view)


@pytest.mark.parametrize(
    ("api", "operation", "body", "kind"),
    [
        (Ollama(), CHAT, {"messages": [{"role": "user", "content": "x", "images": [PNG]}]}, Kind.IMAGE),
        (Ollama(), GENERATE, {"prompt": "x", "context": [1, 2]}, Kind.TOKENS),
        (Ollama(), GENERATE, {"prompt": "x", "template": "{{ .Prompt }}"}, Kind.TEMPLATE),
        (OpenAiCompletions(), COMPLETIONS, {"prompt": [1, 2]}, Kind.TOKENS),
        (OpenAiCompletions(), COMPLETIONS, {"prompt": [[1, 2], [3]]}, Kind.TOKENS),
        (OpenAiCompletions(), COMPLETIONS, {"prompt": "x", "prompt_embeds": "AAAA"}, Kind.VECTORS),
        (OpenAiEmbeddings(), EMBEDDINGS, {"input": [1, 2]}, Kind.TOKENS),
        (LlamaCpp(), COMPLETION, {"prompt": [1, "two", 3]}, Kind.TOKENS),
        (LlamaCpp(), COMPLETION, {"prompt": "x", "image_data": [{"data": PNG, "id": 1}]}, Kind.IMAGE),
        (Tgi(), TGI_GENERATE, {"inputs": "x", "new": [1.5]}, Kind.TOKENS),
    ],
)
def test_each_dialect_hands_on_what_is_unread(
    api: ModelApi, operation: Operation, body: dict[str, Any], kind: Kind
) -> None:
    assert one(api.read_request(operation, {"model": "m"} | body)).kind is kind


@pytest.mark.parametrize(("datatype", "kind"), [("FP32", Kind.VECTORS), ("INT64", Kind.TOKENS)])
def test_a_tensor_of_numbers_is_tokens_or_a_vector_by_its_type(datatype: str, kind: Kind) -> None:
    tensor = {"name": "x", "shape": [2], "datatype": datatype, "data": [1, 2]}
    api = OpenInference()
    operation = next(o for o in api.operations if o.name == "infer")
    assert one(api.read_request(operation, {"inputs": [tensor]})).kind is kind


@pytest.mark.parametrize("api", ADAPTERS, ids=lambda api: api.name)
def test_no_adapter_lets_a_field_go_by_that_is_not_read(api: ModelApi) -> None:
    """An adapter that forgot to hand on what its reader noted would let everything through."""
    whole = {"model": "m", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x"}
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["x"]}
    for operation in api.operations:
        for inputs in ("x", [tensor]):
            for key, value in (("image_url", f"data:image/png;base64,{PNG}"), ("token_ids", [1, 2])):
                document = whole | {"inputs": inputs, "text_input": "x", "max_tokens": 5, key: value}
                try:
                    view = api.read_request(operation, document)
                except Unreadable:
                    continue
                assert view.unread, (operation, key)


def test_what_is_text_in_the_unread_is_judged_as_text_too() -> None:
    view = chat([{"type": "image_url", "image_url": {"url": "https://example.com/?secret"}}])
    assert said(view) == ["https://example.com/?secret"]
    assert said(chat(chat_template="{{ secret }}")) == ["hi", "{{ secret }}"]
    assert said(chat(previous_response_id="resp_1")) == ["hi", "resp_1"]
    body = {"model": "m", "prompt": ["a secret", [1, 2], 3]}
    assert said(OpenAiCompletions().read_request(COMPLETIONS, body)) == ["a secret"]
    assert said(chat(new=[1, "a secret", {"k": 5}])) == ["hi", "new", "a secret", "k", "5"]


def test_what_is_unread_is_no_text() -> None:
    assert said(chat(prompt_embeds="AAAA", custom_logit_processor="code")) == ["hi"]
    assert said(messages({"type": "redacted_thinking", "data": "sealed"})) == []


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image_url", "image_url": {"URL": "x", "url": f"data:image/png;base64,{PNG}"}}],
        [{"type": "image_url", "image_url": {"detail": "high"}}],
        [{"type": "image_url"}],
        [{"type": "image_url", "image_url": []}],
        [{"type": "image_url", "image_url": [1, 2]}],
        [{"type": "something_new", "image_url": f"data:image/png;base64,{PNG}"}],
        [{"image_url": f"data:image/png;base64,{PNG}"}],
    ],
)
def test_what_hides_its_content_stops_the_request_whatever_is_permitted(content: Any) -> None:
    with pytest.raises(Unreadable):
        chat(content)


@pytest.mark.parametrize("key", sorted(CHAT_REFUSED.keys() - KINDS.keys()))
def test_a_field_of_no_kind_stops_the_request_whatever_is_permitted(key: str) -> None:
    with pytest.raises(Unreadable, match="this field is not supported"):
        chat(**{key: [1]})


@pytest.mark.parametrize(
    "key", ["rid", "bootstrap_host", "bootstrap_port", "bootstrap_room", "disaggregated_params"]
)
def test_no_rule_permits_to_name_a_state_that_servers_have_of_requests(key: str) -> None:
    for value in (7, "alice-1", ["alice-1"], {"id": 7}):
        with pytest.raises(Unreadable, match="names a state of the model server's"):
            chat(**{key: value})
        with pytest.raises(Unreadable, match="names a state of the model server's"):
            OpenAiCompletions().read_request(COMPLETIONS, {"model": "m", "prompt": "x", key: value})
    assert said(chat(**{key: None})) == ["hi"]


def test_a_request_may_not_have_more_than_so_much_that_is_not_read() -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert len(chat([part] * MOST_UNREAD).unread) == MOST_UNREAD
    with pytest.raises(Unreadable, match="more than 256"):
        chat([part] * (MOST_UNREAD + 1))


def test_what_stands_within_what_is_unread_is_measured_once() -> None:
    """A digest for each of sixty levels would take as much longer as the body is deep."""
    nested: Any = ["a secret", 1]
    for _ in range(20):
        nested = [1, {"new": nested, "conversation": {"conversation": {"id": "c"}}}]
    view = chat(new=nested)
    assert [unread.kind for unread in view.unread].count(Kind.TOKENS) == 1
    assert [unread.kind for unread in view.unread].count(Kind.REFERENCE) == 20
    assert "a secret" in said(view)
    assert [text for text in said(view) if text == "c"] == ["c"] * 20


def test_media_count_as_what_the_field_says_and_as_what_they_show() -> None:
    def needs(data: str) -> frozenset[Kind]:
        return one(chat([{"type": "image_url", "image_url": f"data:image/png;base64,{data}"}])).needs

    assert needs(PNG) == {Kind.IMAGE}
    assert needs(PDF) == {Kind.IMAGE, Kind.FILE}
    assert needs(WAV) == {Kind.IMAGE, Kind.AUDIO}
    assert needs(RAW) == {Kind.IMAGE, Kind.FILE}


def test_the_first_in_the_document_that_is_not_permitted_is_the_one_refused() -> None:
    image = {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}
    view = chat([image], token_ids=[1])
    with pytest.raises(Unreadable, match="a part of type image_url is not text"):
        require_permitted(view.unread, ())
    with pytest.raises(Unreadable, match="token_ids: this field is not supported") as caught:
        require_permitted(view.unread, {Kind.IMAGE})
    assert (caught.value.code, caught.value.status) == ("unsupported_field", 400)
    require_permitted(view.unread, {Kind.IMAGE, Kind.TOKENS})


def test_nothing_permits_what_is_malformed() -> None:
    view = chat([{"type": "image_url", "image_url": "data:image/png,x"}])
    with pytest.raises(Unreadable):
        require_permitted(view.unread, set(Kind))
    assert Kind.MALFORMED not in PERMITTABLE


def test_neither_error_nor_place_repeats_a_word_of_the_callers() -> None:
    view = chat(secret={"token_ids": [1]})
    assert one(view).place == "*.token_ids"
    assert "secret" not in one(view).message


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"previous_response_id": "resp_1"}, [Kept(Result.RESPONSE, "resp_1")]),
        ({"conversation": "c"}, [Kept(Result.CONVERSATION, "c")]),
        ({"conversation": {"id": "c"}}, [Kept(Result.CONVERSATION, "c")]),
        ({"conversation": {"id": "c", "x": 1}}, [Kept(Result.CONVERSATION, "")]),
        ({"conversation": {"id": 1}}, [Kept(Result.CONVERSATION, "")]),
        ({"previous_response_id": ["resp_1"]}, [Kept(Result.RESPONSE, "")]),
        ({"new": {"previous_response_id": "resp_1"}}, [Kept(Result.RESPONSE, "resp_1")]),
        ({"file_id": {"previous_response_id": "resp_1"}}, [Kept(Result.RESPONSE, "")]),
        ({"file_id": "file_1"}, []),
        ({"previous_response_id": None}, []),
    ],
)
def test_what_names_the_result_of_another_exchange_says_which(more: Any, kept: list[Kept]) -> None:
    unread = chat(**more).unread
    assert [value.kept for value in unread if value.kept is not None] == kept


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "audio": {"id": "audio_1"}},
        {"role": "user", "content": [{"type": "image_url", "image_url": None, "uuid": "image-1"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": None, "uuid": "image-1"}}]},
        {"role": "user", "content": [{**IMAGE, "uuid": "image-1"}]},
    ],
)
def test_media_that_earlier_requests_left_at_the_server_are_nobodys(message: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [message, {"role": "user", "content": "hi"}]}
    unread = OpenAiChat().read_request(CHAT_COMPLETIONS, body).unread
    assert [value.kept for value in unread if value.kept is not None] == [Kept(Result.ITEM, "")]
    assert [value.kind for value in unread if value.kept is not None] == [Kind.REFERENCE]
