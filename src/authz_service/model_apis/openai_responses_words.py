"""The fixed words of OpenAI's responses, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused, openai_words
from authz_service.model_apis.openai_responses_items import ITEMS
from authz_service.model_apis.words import Words, word_set
from authz_service.view.unread import Kind

_ELSEWHERE = "it names content that is kept elsewhere, which this gateway has not seen"
_SEALED = "its content is encrypted, so that this gateway cannot read what the model would"
_KEPT = "the model server would keep the answer, where this gateway does not see who reads it"
_CHOSEN = "it would choose the id of the answer, under which another caller's may be kept already"
_AS_TOKENS = frozenset(("logprobs", "top_logprobs"))
_NAMES = (
    *("vector_store_ids", "file_ids", "file_url", "container_id", "skill_id"),
    *("server_url", "connector_id", "tunnel_id"),
)

REFUSED: Mapping[str, str] = {
    **{key: why for key, why in openai_refused.REFUSED.items() if key not in _AS_TOKENS},
    **dict.fromkeys((*_NAMES, "item_reference", "authorization"), _ELSEWHERE),
    **dict.fromkeys(("input_image_mask", "input_file"), "it holds media, and this gateway judges text only"),
    "encrypted_content": _SEALED,
    "context_management": "the model server would rewrite the conversation into what nobody can read",
    "background": _KEPT,
    "request_id": _CHOSEN,
}
"""Fields that stop a request, each with its reason (see `Words.refused`)."""

KINDS: Mapping[str, Kind] = {
    **{key: kind for key, kind in openai_refused.KINDS.items() if key in REFUSED},
    **dict.fromkeys((*_NAMES, "item_reference"), Kind.REFERENCE),
    "input_file": Kind.FILE,
    "encrypted_content": Kind.ENCRYPTED,
}
"""Those among them that a rule may permit, and as what (see `Words.kinds`)."""

NOT_INCLUDED: Mapping[str, str] = {
    "reasoning.encrypted_content": _SEALED,
    "message.input_image.image_url": "it is media, and this gateway judges text only",
    "computer_call_output.output.image_url": "it is media, and this gateway judges text only",
}
"""What a request may not ask to be included in its answer."""

_API_KEYS = word_set("""
    acknowledged_safety_checks action actions allowed_callers allowed_domains allowed_tools always
    annotation annotation_index approval_request_id approve bearer billing call_id caller caller_id
    code command command_index commands completed_at container content_index created_at delta diff
    effort env environment error exit_code execution external_web_access failed_at filters
    generate_summary include incomplete_details input input_tokens input_tokens_details instructions
    item item_id last_id logs max_num_results max_output_length max_output_tokens max_tool_calls
    moderation namespace never obfuscation operation outcome output output_index output_schema
    output_text output_tokens output_tokens_details part path payer pending_safety_checks queries query
    ranking_options read_only require_approval response result results revised_prompt safety_check
    score score_threshold sequence_number server_description server_label sources start_line status
    stderr stdout summary summary_index text timeout_ms timings tool_names tool_usage truncation
    working_directory allowed_tool_calls defer_loading sequence cache_n prompt_n prompt_ms
    prompt_per_token_ms prompt_per_second predicted_n predicted_ms predicted_per_token_ms
    predicted_per_second
    """)

KEYS = openai_words.KEYS | _API_KEYS | frozenset(REFUSED)
"""Object keys that say nothing of a caller's own; every other key is a text."""

EVENT_NAMES = frozenset({"error"}) | frozenset(
    f"response.{name}"
    for name in word_set("""
    created queued in_progress completed incomplete failed
    output_item.added output_item.done content_part.added content_part.done
    output_text.delta output_text.done output_text.annotation.added refusal.delta refusal.done
    reasoning_text.delta reasoning_text.done reasoning_part.added reasoning_part.done
    reasoning_summary_part.added reasoning_summary_part.done
    reasoning_summary_text.delta reasoning_summary_text.done
    function_call_arguments.delta function_call_arguments.done
    custom_tool_call_input.delta custom_tool_call_input.done
    mcp_call_arguments.delta mcp_call_arguments.done mcp_call.in_progress mcp_call.completed
    mcp_call.failed mcp_list_tools.in_progress mcp_list_tools.completed mcp_list_tools.failed
    code_interpreter_call_code.delta code_interpreter_call_code.done code_interpreter_call.in_progress
    code_interpreter_call.interpreting code_interpreter_call.completed
    shell_call_command.added shell_call_command.delta shell_call_command.done
    shell_call_output_content.delta shell_call_output_content.done
    web_search_call.in_progress web_search_call.searching web_search_call.completed
    file_search_call.in_progress file_search_call.searching file_search_call.completed
    image_generation_call.in_progress image_generation_call.generating
    image_generation_call.completed image_generation_call.partial_image
    audio.delta audio.done audio.transcript.delta audio.transcript.done compaction.compacting
    """)
)
"""The names of a stream's events, which are the types in their data too."""

EVENT_KEYS = word_set("""
    command_index content_index created_at delta event_id id item item_id logprobs model object obfuscation
    output_index part response_id sequence_number status summary_index type
    """)
"""Those of an event about an item: what stands there under another key may go on in the next."""

SERVER_TOOLS = word_set("""
    web_search web_search_preview web_search_2025_08_26 web_search_preview_2025_03_11 file_search
    code_interpreter computer computer_use computer_use_preview mcp image_generation local_shell shell
    apply_patch tool_search programmatic_tool_calling
    """)
"""Tools that the model server brings along, which have a type in place of a name."""

_TYPES = (
    openai_words.SELECTING["type"]
    | ITEMS
    | EVENT_NAMES
    | SERVER_TOOLS
    | word_set("""
    output_text summary_text reasoning_text auto exec search open_page find_in_page file_citation
    file_path container_file_citation logs exit timeout namespace create_file update_file delete_file
    direct program allowed_tools image_generation_call program_output
    """)
)

SELECTING: Mapping[str, frozenset[str]] = {
    **openai_words.SELECTING,
    "type": _TYPES,
    "object": frozenset({"response"}),
    "status": word_set(
        "queued in_progress completed incomplete failed cancelled searching interpreting calling generating"
    ),
    "truncation": word_set("auto disabled"),
    "effort": word_set("none minimal low medium high xhigh max"),
    "summary": word_set("auto concise detailed"),
    "generate_summary": word_set("auto concise detailed"),
    "execution": word_set("server client"),
    "require_approval": word_set("always never"),
    "reason": word_set("max_output_tokens content_filter"),
    "include": word_set("""
        message.output_text.logprobs web_search_call.results web_search_call.action.sources
        file_search_call.results code_interpreter_call.outputs
        """),
}
"""Strings that select and say nothing: by the key that they stand under, the words that may be there."""

RESPONSES_WORDS = Words(
    keys=KEYS, selecting=SELECTING, refused=REFUSED, zero_is_off=openai_refused.ZERO_IS_OFF, kinds=KINDS
)
"""Those of requests and answers."""
