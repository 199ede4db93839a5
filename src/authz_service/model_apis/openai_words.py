"""The fixed words of OpenAI's bodies: whatever is not among them counts as somebody's text."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis.openai_refused import KINDS, LOG_PROBABILITIES, REFUSED, ZERO_IS_OFF
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words, word_set
from authz_service.view.unread import Kind

API_KEYS = word_set("""
    allowed_token_ids allowed_tools annotations approximate arguments audio audio_data audio_tokens
    audio_url accepted_prediction_tokens bad_words best_of bootstrap_host bootstrap_port bootstrap_room
    cache_prompt cache_salt cached_tokens cache_write_tokens chat_template chat_template_kwargs choices
    city code completion_tokens completion_tokens_details content conversation country created custom
    custom_logit_processor data definition delta detail developer disaggregated_params documents echo
    enable_thinking end_index error file file_data
    file_id filename finish_reason frequency_penalty function function_call functions grammar
    guided_choice guided_decoding_backend guided_grammar guided_json guided_regex id ignore_eos image
    image_data image_embeds image_pil image_tokens image_url images include_obfuscation include_usage
    index input input_audio input_embeds input_ids input_image json_schema kv_transfer_params
    length_penalty logit_bias logits_processors logprobs matched_stop max_completion_tokens max_tokens
    message messages metadata min_p min_tokens mode modalities model moderation multi_modal_data
    mm_processor_kwargs n n_predict n_probs name object obfuscation parallel_tool_calls param
    parameters prediction presence_penalty previous_response_id priority prompt prompt_cache_breakpoint
    prompt_cache_key prompt_cache_options prompt_cache_retention prompt_embeds prompt_ids prompt_logprobs
    prompt_token_ids prompt_tokens prompt_tokens_details reasoning reasoning_content reasoning_effort
    reasoning_tokens refusal region rejected_prediction_tokens repeat_penalty repetition_penalty
    request_id response_format return_hidden_states return_logprob return_meta_info return_progress
    return_token_ids return_tokens return_tokens_as_token_ids rid role safety_identifier schema
    search_context_size seed service_tier session_params skip_special_tokens start_index
    stop stop_reason stop_token_ids store stream stream_options strict structured_outputs suffix syntax
    system_fingerprint temperature text text_tokens thinking timezone token_ids tokens tool_call_id
    tool_calls tool_choice tools top_k top_logprobs top_logprobs_num top_p total_tokens ttl
    truncate_prompt_tokens typical_p url url_citation usage user user_location verbosity video_data
    video_url videos web_search_options
    """)

KEYS = JSON_SCHEMA_KEYS | API_KEYS
"""Object keys that say nothing of a caller's own; every other key is a text."""

_TYPES = word_set("""
    text refusal output_text input_text thinking function custom grammar json_object json_schema
    structural_tag content url_citation lark regex approximate
    string number integer boolean object array null
    """)

SELECTING: Mapping[str, frozenset[str]] = {
    "type": _TYPES,
    "role": word_set("system developer user assistant tool function"),
    "tool_choice": word_set("none auto required"),
    "function_call": word_set("none auto"),
    "mode": word_set("auto required explicit implicit score block"),
    "syntax": word_set("lark regex"),
    "modalities": frozenset({"text"}),
    "reasoning_effort": word_set("none minimal low medium high xhigh max"),
    "verbosity": word_set("low medium high"),
    "search_context_size": word_set("low medium high"),
    "service_tier": word_set("auto default flex scale priority fast"),
    "prompt_cache_retention": frozenset({"in_memory", "24h"}),
    "ttl": frozenset({"30m", "12h", "24h"}),
    "object": frozenset({"chat.completion", "chat.completion.chunk", "error"}),
    "finish_reason": word_set("stop length tool_calls content_filter function_call"),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there.

Any other string under the same key is a text. A list under the key may hold these words too.
"""

CHAT_REFUSED = {key: why for key, why in REFUSED.items() if key not in LOG_PROBABILITIES}
CHAT_WORDS = Words(keys=KEYS, selecting=SELECTING, refused=CHAT_REFUSED, zero_is_off=ZERO_IS_OFF, kinds=KINDS)
"""Those of chat completions. What another operation reads (`prompt`, say) it takes off what is refused."""

selects = CHAT_WORDS.selects
spoken = CHAT_WORDS.spoken


def without_refusing(
    *read: str,
    keys: frozenset[str] = KEYS,
    selecting: Mapping[str, frozenset[str]] = SELECTING,
    kinds: Mapping[str, Kind] | None = None,
) -> Words:
    """Words of an operation of OpenAI's that reads fields which stop a chat completion.

    Its adapter gives `kinds` when it hands on what its reader has noted as unread.
    """
    refused = {key: reason for key, reason in REFUSED.items() if key not in read}
    return Words(keys=keys, selecting=selecting, refused=refused, zero_is_off=ZERO_IS_OFF, kinds=kinds or {})
