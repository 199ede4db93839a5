"""The items of OpenAI's responses, and which of them name by their id what the model server keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MAY_BE_EMPTY = frozenset(("arguments", "approve", "input", "output"))
"""Members that say something by being there: a call without arguments, a tool that returned nothing."""

_CONTENT: Mapping[str, tuple[str, ...]] = {
    "message": ("content",),
    "reasoning": ("content", "encrypted_content"),
    "function_call": ("arguments",),
    "function_call_output": ("output",),
    "custom_tool_call": ("input",),
    "custom_tool_call_output": ("output",),
    "local_shell_call": ("action",),
    "local_shell_call_output": ("output",),
    "shell_call": ("action",),
    "shell_call_output": ("output",),
    "apply_patch_call": ("operation",),
    "apply_patch_call_output": ("output", "status"),
    "web_search_call": (),
    "file_search_call": ("results",),
    "code_interpreter_call": ("outputs",),
    "computer_call": ("action", "actions"),
    "computer_call_output": ("output",),
    "tool_search_call": ("arguments",),
    "mcp_list_tools": ("tools",),
    "mcp_approval_request": ("arguments",),
    "mcp_approval_response": ("approve",),
    "mcp_call": ("output", "error"),
    "compaction": ("encrypted_content",),
}
"""Where an item of each type has what a model server that is given its id alone would look up.

Of what a server's own tool has done that is the results. A summary is not what the model thought: for that a
server goes by the id.
"""

ITEMS = frozenset(_CONTENT)
"""The types of items whose words all stand in the item itself."""


def names_what_is_kept(item: Mapping[str, Any]) -> bool:
    """Whether an item with an id has no content of its own, so that it can only mean what is kept."""
    if item.get("id") in (None, ""):
        return False
    return not any(_says(key, item.get(key)) for key in _CONTENT[item.get("type", "message")])


def approval_requests(items: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The ids of those requests to approve a call that stand among the items with what they ask for."""
    ids = (
        item.get("id")
        for item in items
        if item.get("type") == "mcp_approval_request" and not names_what_is_kept(item)
    )
    return frozenset(name for name in ids if isinstance(name, str))


def _says(key: str, value: object) -> bool:
    return value is not None if key in _MAY_BE_EMPTY else bool(value)
