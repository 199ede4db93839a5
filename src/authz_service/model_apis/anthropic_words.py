"""The fixed words of Anthropic's messages, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words, word_set
from authz_service.view.unread import Kind

_ELSEWHERE = "it names content that is kept elsewhere, which this gateway has not seen"
_SEALED = "its content is encrypted, so that this gateway cannot read what the model would"

REFUSED: Mapping[str, str] = {
    **openai_refused.REFUSED,
    **dict.fromkeys(("container", "container_id", "mcp_servers", "skills"), _ELSEWHERE),
    **dict.fromkeys(("encrypted_content", "encrypted_index", "encrypted_stdout"), _SEALED),
}
"""Fields that stop a request. Servers that speak this dialect take OpenAI's extensions beside it."""

KINDS: Mapping[str, Kind] = {
    **openai_refused.KINDS,
    **dict.fromkeys(("container", "container_id", "skills"), Kind.REFERENCE),
    **dict.fromkeys(("encrypted_content", "encrypted_index", "encrypted_stdout"), Kind.ENCRYPTED),
}

_API_KEYS = word_set("""
    allowed_callers allowed_domains blocked_domains budget_tokens cache_control cache_creation
    cache_creation_input_tokens cache_read_input_tokens caller caller_id category citation citations
    cited_text completion_tokens content content_block context context_management data defer_loading
    delta diagnostics disable_parallel_tool_use display display_height_px display_number
    display_width_px document_index document_title eager_input_streaming edits effort enabled
    end_block_index end_char_index end_page_number ephemeral_1h_input_tokens
    ephemeral_5m_input_tokens error error_code explanation file_id id index inference_geo input
    input_examples input_schema input_tokens is_error keep max_characters max_content_tokens
    max_tokens max_uses media_type message messages metadata model name output_config output_tokens
    output_tokens_details page_age parallel_tool_calls partial_json param query request_id
    retrieved_at role schema search_result_index server_tool_use service_tier signature source speed
    start_block_index start_char_index start_page_number stop_details stop_reason stop_sequence
    stop_sequences stream strict system temperature text thinking timezone tool_choice tool_use_id
    tool_name tool_references tools toolset_name top_k top_p ttl url usage user_id user_location
    user_profile_id web_fetch_requests web_search_requests workspace_id city country region
    """)

KEYS = JSON_SCHEMA_KEYS | _API_KEYS | frozenset(REFUSED)
"""Object keys that say nothing of a caller's own; every other key is a text."""

_TYPES = word_set("""
    text thinking tool_use tool_result server_tool_use search_result document content custom auto any
    tool none enabled disabled adaptive ephemeral json_schema message message_start message_delta
    message_stop content_block_start content_block_delta content_block_stop ping error text_delta
    input_json_delta thinking_delta signature_delta citations_delta char_location page_location
    content_block_location search_result_location refusal approximate direct
    string number integer boolean object array null
    """)

SELECTING: Mapping[str, frozenset[str]] = {
    "type": _TYPES,
    "role": word_set("system user assistant"),
    "media_type": frozenset({"text/plain"}),
    "ttl": word_set("5m 1h"),
    "effort": word_set("low medium high xhigh max"),
    "display": word_set("summarized omitted"),
    "service_tier": word_set("auto standard standard_only priority batch"),
    "speed": word_set("standard fast"),
    "stop_reason": word_set(
        "end_turn max_tokens stop_sequence tool_use pause_turn refusal model_context_window_exceeded"
    ),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there."""

MESSAGES_WORDS = Words(
    keys=KEYS, selecting=SELECTING, refused=REFUSED, zero_is_off=openai_refused.ZERO_IS_OFF, kinds=KINDS
)
"""Those of messages and of token counting."""
