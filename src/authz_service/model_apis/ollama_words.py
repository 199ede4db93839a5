"""The fixed words of Ollama's API, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words, word_set
from authz_service.view.unread import Kind

_TEMPLATE = "it changes what the model reads behind this gateway"
_TOKENS = "it holds tokens, which this gateway cannot read"
_READ = openai_refused.LOG_PROBABILITIES | {"prompt"}

REFUSED: Mapping[str, str] = {
    **{key: why for key, why in openai_refused.REFUSED.items() if key not in _READ},
    "template": _TEMPLATE,
    "context": _TOKENS,
}

KINDS: Mapping[str, Kind] = {
    **openai_refused.KINDS,
    "template": Kind.TEMPLATE,
    "context": Kind.TOKENS,
}

_API_KEYS = word_set("""
    arguments content created_at dimensions done done_reason embedding embeddings error eval_count
    eval_duration f16_kv format frequency_penalty function index input keep_alive load_duration
    low_vram main_gpu message messages min_p mirostat mirostat_eta mirostat_tau model name num_batch
    num_ctx num_gpu num_keep num_predict num_thread numa options parameters penalize_newline
    presence_penalty prompt prompt_eval_count prompt_eval_duration raw remote_host remote_model
    repeat_last_n repeat_penalty response role seed shift stop stream suffix system temperature
    tfs_z think thinking tool_call_id tool_calls tool_name tools top_k top_p total_duration truncate
    typical_p use_mlock use_mmap vocab_only id
    """)

ANSWER_KEYS = word_set("""
    context created_at done done_reason error eval_count eval_duration id image images load_duration logprobs
    message model prompt_eval_count prompt_eval_duration remote_host remote_model response thinking tool_calls
    total_duration
    """)
"""Those of an answer: what stands there under another key may go on from line to line."""

KEYS = JSON_SCHEMA_KEYS | _API_KEYS | frozenset(REFUSED)
"""Object keys that say nothing of a caller's own; every other key is a text."""

SELECTING: Mapping[str, frozenset[str]] = {
    "type": word_set("function string number integer boolean object array null"),
    "role": word_set("system user assistant tool"),
    "format": frozenset({"json"}),
    "think": word_set("low medium high"),
    "done_reason": word_set("stop length load unload"),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there."""

OLLAMA_WORDS = Words(
    keys=KEYS, selecting=SELECTING, refused=REFUSED, zero_is_off=openai_refused.ZERO_IS_OFF, kinds=KINDS
)
