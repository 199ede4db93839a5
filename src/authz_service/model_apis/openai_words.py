"""The fixed words of OpenAI's bodies: whatever is not among them counts as somebody's text."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.view.request import Path


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


JSON_SCHEMA_KEYS = _words("""
    $anchor $comment $defs $id $ref $schema additionalItems additionalProperties allOf anyOf const
    contains contentEncoding contentMediaType default definitions dependentRequired dependentSchemas
    deprecated description else enum examples exclusiveMaximum exclusiveMinimum format if items
    maxContains maxItems maxLength maxProperties maximum minContains minItems minLength minProperties
    minimum multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames
    readOnly required then title type unevaluatedItems unevaluatedProperties uniqueItems writeOnly
    """)

API_KEYS = _words("""
    allowed_token_ids allowed_tools annotations approximate arguments audio audio_data audio_tokens
    audio_url accepted_prediction_tokens bad_words best_of cache_prompt cache_salt cached_tokens
    cache_write_tokens chat_template chat_template_kwargs choices city code completion_tokens
    completion_tokens_details content conversation country created custom custom_logit_processor
    definition delta detail developer documents echo enable_thinking end_index error file file_data
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
    return_token_ids return_tokens return_tokens_as_token_ids role safety_identifier schema
    search_context_size seed service_tier session_params skip_special_tokens start_index
    stop stop_reason stop_token_ids store stream stream_options strict structured_outputs suffix syntax
    system_fingerprint temperature text text_tokens thinking timezone token_ids tokens tool_call_id
    tool_calls tool_choice tools top_k top_logprobs top_logprobs_num top_p total_tokens ttl
    truncate_prompt_tokens typical_p url url_citation usage user user_location verbosity video_data
    video_url videos web_search_options
    """)

KEYS = JSON_SCHEMA_KEYS | API_KEYS
"""Object keys that say nothing of a caller's own; every other key is a text."""

_FOLDED_KEYS = frozenset(key.casefold() for key in KEYS)

_TYPES = _words("""
    text refusal output_text input_text thinking function custom grammar json_object json_schema
    structural_tag content url_citation lark regex approximate
    string number integer boolean object array null
    """)

SELECTING: Mapping[str, frozenset[str]] = {
    "type": _TYPES,
    "role": _words("system developer user assistant tool function"),
    "tool_choice": _words("none auto required"),
    "function_call": _words("none auto"),
    "mode": _words("auto required explicit implicit score block"),
    "syntax": _words("lark regex"),
    "modalities": frozenset({"text"}),
    "reasoning_effort": _words("none minimal low medium high xhigh max"),
    "verbosity": _words("low medium high"),
    "search_context_size": _words("low medium high"),
    "service_tier": _words("auto default flex scale priority fast"),
    "prompt_cache_retention": frozenset({"in_memory", "24h"}),
    "ttl": frozenset({"30m", "12h", "24h"}),
    "object": frozenset({"chat.completion", "chat.completion.chunk", "error"}),
    "finish_reason": _words("stop length tool_calls content_filter function_call"),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there.

Any other string under the same key is a text. A list under the key may hold these words too.
"""


def selects(key: str | int, value: str) -> bool:
    """Whether a string under `key` is one of the dialect's own words."""
    words = SELECTING.get(key) if isinstance(key, str) else None
    return words is not None and value in words


def is_disguised(key: str) -> bool:
    """Whether a key is one of the API's in other letters.

    A model server in Go reads `Messages` as `messages` (encoding/json folds case, and the last one
    wins), so a body could show one conversation here and another one there. Readers in C may end a
    key at its first NUL.
    """
    return key not in KEYS and folded(key) in _FOLDED_KEYS


def folded(key: str) -> str:
    """A key as the most careless reader takes it."""
    return key.partition("\0")[0].casefold()


def spoken(path: Path) -> str:
    """A path for a message. Keys that are not the API's are shown as `*`: they may be a secret."""
    words = ""
    for step in path:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            words += ("." if words else "") + (step if step in KEYS else "*")
    return words or "the body"
