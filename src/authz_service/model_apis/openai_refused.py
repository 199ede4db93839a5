"""Fields of OpenAI's dialect, and of servers that extend it, that stop a request, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

_TOKENS = "it holds tokens or vectors, which this gateway cannot read"
_MEDIA = "it holds media, and this gateway judges text only"
_ELSEWHERE = "it names content that is kept elsewhere, which this gateway has not seen"
_CODE = "it runs code on the model server"
_TEMPLATE = "it changes what the model reads behind this gateway"
_AS_TOKENS = "the answer would repeat its text as tokens, which this gateway cannot mask"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("prompt_token_ids", "token_ids", "input_ids", "prompt_ids", "tokens"), _TOKENS),
    **dict.fromkeys(("prompt_embeds", "input_embeds", "image_embeds"), _TOKENS),
    **dict.fromkeys(("image_url", "input_image", "image", "images", "image_pil", "image_data"), _MEDIA),
    **dict.fromkeys(("input_audio", "audio", "audio_url", "audio_data"), _MEDIA),
    **dict.fromkeys(("video_url", "videos", "video_data", "multi_modal_data", "file"), _MEDIA),
    **dict.fromkeys(("mm_processor_kwargs", "file_data"), _MEDIA),
    **dict.fromkeys(("file_id", "previous_response_id", "conversation", "prompt"), _ELSEWHERE),
    **dict.fromkeys(("kv_transfer_params", "session_params"), _ELSEWHERE),
    **dict.fromkeys(("custom_logit_processor", "logits_processors"), _CODE),
    "chat_template": _TEMPLATE,
    "truncate_prompt_tokens": _TEMPLATE,
    **dict.fromkeys(("logprobs", "top_logprobs", "prompt_logprobs", "n_probs"), _AS_TOKENS),
    **dict.fromkeys(("return_logprob", "top_logprobs_num", "return_tokens"), _AS_TOKENS),
    **dict.fromkeys(("return_token_ids", "return_tokens_as_token_ids"), _AS_TOKENS),
    **dict.fromkeys(("return_hidden_states", "return_meta_info"), _AS_TOKENS),
}
"""Fields that stop a request, each with its reason (see `Words.refused`)."""

ZERO_IS_OFF = frozenset(("top_logprobs", "n_probs", "top_logprobs_num"))
"""Counts among them that ask for nothing when they are zero."""
