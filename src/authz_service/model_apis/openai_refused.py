"""Fields of OpenAI's dialect, and of servers that extend it, that stop a request, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.view.unread import Kind

_TOKENS = "it holds tokens or vectors, which this gateway cannot read"
_MEDIA = "it holds media, and this gateway judges text only"
_ELSEWHERE = "it names content that is kept elsewhere, which this gateway has not seen"
_KEPT = "the model server would keep the answer, where this gateway does not see who reads it"
_STATE = "it names a state of the model server's, and nobody here knows whose that is"
_CODE = "it runs code on the model server"
_TEMPLATE = "it changes what the model reads behind this gateway"
_AS_TOKENS = "the answer would repeat its text as tokens, which this gateway cannot mask"

_BY_KIND: tuple[tuple[Kind, str, tuple[str, ...]], ...] = (
    (Kind.TOKENS, _TOKENS, ("prompt_token_ids", "token_ids", "input_ids", "prompt_ids", "tokens")),
    (Kind.VECTORS, _TOKENS, ("prompt_embeds", "input_embeds", "image_embeds")),
    (Kind.IMAGE, _MEDIA, ("image_url", "input_image", "image", "images", "image_pil", "image_data")),
    (Kind.AUDIO, _MEDIA, ("input_audio", "audio", "audio_url", "audio_data")),
    (Kind.VIDEO, _MEDIA, ("video_url", "videos", "video_data")),
    (Kind.FILE, _MEDIA, ("file", "file_data")),
    (Kind.REFERENCE, _ELSEWHERE, ("file_id", "previous_response_id", "conversation", "prompt")),
    (Kind.STORE, _KEPT, ("store",)),
    (Kind.CODE, _CODE, ("custom_logit_processor", "logits_processors")),
    (Kind.TEMPLATE, _TEMPLATE, ("chat_template", "truncate_prompt_tokens")),
)

_OF_SERVERS = (
    *("kv_transfer_params", "session_params", "rid"),
    *("bootstrap_host", "bootstrap_port", "bootstrap_room", "disaggregated_params"),
)
"""What names a running request, a session, or a cache that is elsewhere (vLLM, SGLang, TensorRT-LLM)."""

REFUSED: Mapping[str, str] = {
    **{key: reason for _, reason, keys in _BY_KIND for key in keys},
    **dict.fromkeys(_OF_SERVERS, _STATE),
    **dict.fromkeys(("multi_modal_data", "mm_processor_kwargs"), _MEDIA),
    **dict.fromkeys(("logprobs", "top_logprobs", "prompt_logprobs", "n_probs"), _AS_TOKENS),
    **dict.fromkeys(("return_logprob", "top_logprobs_num", "return_tokens"), _AS_TOKENS),
    **dict.fromkeys(("return_token_ids", "return_tokens_as_token_ids"), _AS_TOKENS),
    **dict.fromkeys(("return_hidden_states", "return_meta_info"), _AS_TOKENS),
}
"""Fields that stop a request, each with its reason (see `Words.refused`)."""

LOG_PROBABILITIES = frozenset(("logprobs", "top_logprobs", "n_probs"))
"""What dialects take off that mask the tokens of an answer in step with its text (see `logprobs.py`)."""

KINDS: Mapping[str, Kind] = {key: kind for kind, _, keys in _BY_KIND for key in keys}
"""Those among them that a rule may permit, and as what (see `Words.kinds`)."""

ZERO_IS_OFF = frozenset(("top_logprobs", "n_probs", "top_logprobs_num"))
"""Counts among them that ask for nothing when they are zero."""
