"""The fixed words of llama.cpp's own API, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words, word_set
from authz_service.view.unread import Kind

_MEDIA = "it holds media, and this gateway judges text only"
_READ = openai_refused.LOG_PROBABILITIES | {"prompt"}

REFUSED: Mapping[str, str] = {
    **{key: why for key, why in openai_refused.REFUSED.items() if key not in _READ},
    **dict.fromkeys(("multimodal_data", "media"), _MEDIA),
}

KINDS: Mapping[str, Kind] = {
    **openai_refused.KINDS,
    **dict.fromkeys(("multimodal_data", "media"), Kind.IMAGE),
}

_API_KEYS = word_set("""
    adaptive_decay adaptive_target backend_sampling cache_n cache_prompt cache_reuse chat_format
    completion_probabilities content data draft_n draft_n_accepted dry_allowed_length dry_base
    dry_multiplier dry_penalty_last_n dry_sequence_breakers dynatemp_exponent dynatemp_range error
    filename frequency_penalty generation_prompt generation_settings grammar grammar_lazy
    grammar_triggers has_new_line id id_slot ignore_eos index input_extra input_prefix input_suffix
    json_schema logit_bias logprobs lora max_tokens message min_keep min_p mirostat mirostat_eta
    mirostat_tau model n_cmpl n_discard n_indent n_keep n_past n_predict n_probs post_sampling_probs
    predicted_ms predicted_n predicted_per_second predicted_per_token_ms presence_penalty
    preserved_tokens prob prompt prompt_ms prompt_n prompt_per_second prompt_per_token_ms
    prompt_progress prompt_string reasoning_format reasoning_in_content repeat_last_n repeat_penalty
    response_fields return_progress samplers scale seed speculative.n_max speculative.n_min
    speculative.p_min speculative.types stop stop_type stopped_eos stopped_limit stopped_word
    stopping_word stream t_max_predict_ms t_max_prompt_ms temperature text time_ms timings
    timings_per_token tokens_cached tokens_evaluated tokens_predicted top_k top_logprobs top_n_sigma
    top_p top_probs total truncated typical_p use_penalty_prompt_tokens verbose xtc_probability
    xtc_threshold
    """)

ANSWER_KEYS = word_set("""
    completion_probabilities content error generation_settings has_new_line id id_slot index model prompt
    prompt_progress stop stop_type stopped_eos stopped_limit stopped_word stopping_word timings tokens
    tokens_cached tokens_evaluated tokens_predicted truncated
    """)
"""Those of an answer: what stands there under another key may go on from event to event."""

KEYS = JSON_SCHEMA_KEYS | _API_KEYS | frozenset(REFUSED)
"""Object keys that say nothing of a caller's own; every other key is a text."""

_SAMPLERS = word_set("penalties dry top_n_sigma top_k typ_p typical_p top_p min_p xtc temperature infill")

SELECTING: Mapping[str, frozenset[str]] = {
    "type": word_set("string number integer boolean object array null"),
    "samplers": _SAMPLERS,
    "stop_type": word_set("none eos limit word"),
    "chat_format": frozenset({"Content-only"}),
    "reasoning_format": word_set("none auto deepseek deepseek-legacy"),
    "speculative.types": frozenset({"none"}),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there."""

NATIVE_WORDS = Words(
    keys=KEYS, selecting=SELECTING, refused=REFUSED, zero_is_off=openai_refused.ZERO_IS_OFF, kinds=KINDS
)
