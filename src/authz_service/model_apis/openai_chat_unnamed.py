"""What the API does not name in the frames of a chat completion: within a choice, and beside the choices."""

from __future__ import annotations

from authz_service.model_apis.answer_frame import is_empty
from authz_service.model_apis.numbers import TELLING, is_number, is_numbers
from authz_service.model_apis.openai_chat_frame import ChatFrame
from authz_service.model_apis.openai_words import KEYS, SELECTING, selects
from authz_service.view.pointer import escaped
from authz_service.view.request import Path, TextKind

_CLEARED = frozenset(
    (
        *("logprobs", "prompt_logprobs", "completion_probabilities"),  # but those of a choice
        *("token_ids", "prompt_token_ids", "tokens", "hidden_states"),
        *("audio", "images", "image_url", "b64_json"),
    )
)
"""Text in a form that is not read here (tokens, bytes, alternatives, sound, images): replaced by null."""

_UNTOLD = KEYS - _CLEARED
"""Keys beside the choices under which a small number tells nothing, as in `usage`."""

_COUNTS = frozenset(("index", "start_index", "end_index", "stop_reason", "matched_stop"))
"""Numbers within a choice that may stay; others could be what the model said."""


class UnnamedTexts:
    """The texts of one answer that the API does not name, each piece of which is a part by itself."""

    def __init__(self) -> None:
        self._parts = 0

    def read(
        self,
        value: object,
        path: Path,
        key: str,
        channel: str,
        frame: ChatFrame,
        kind: TextKind = TextKind.PLAIN,
    ) -> None:
        """What the API does not name, within a choice: it may go on from frame to frame on its own path.

        Or each frame says another (a citation): so it is looked at for itself, and joined.
        """
        if isinstance(value, str) and value in SELECTING.get(key, ()):
            return
        _key(path, frame)
        if is_empty(value):
            frame.empty.append(channel)
        if value is not None and (key in _CLEARED or is_numbers(value)):
            frame.cleared.append(path)
        elif isinstance(value, str):
            self._parts += 1
            frame.say_unnamed(channel, path, value, f"{channel}/~{self._parts}", kind)
        elif isinstance(value, dict):
            for name, item in value.items():
                self.read(item, (*path, name), name, f"{channel}/{escaped(name)}", frame, kind)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self.read(item, (*path, i), key, f"{channel}/{i}", frame, kind)
        elif is_number(value) and not (key in _COUNTS and abs(value) < TELLING):
            frame.cleared.append(path)


def read_aside(value: object, path: Path, key: str, frame: ChatFrame) -> None:
    """What stands beside the choices, under `key`: complete in each frame, since no client joins it."""
    _key(path, frame)
    if value is not None and (key in _CLEARED or is_numbers(value)):
        frame.cleared.append(path)
    elif isinstance(value, str):
        if not selects(key, value):
            frame.say_whole(path, value)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not (name in _UNTOLD and type(item) is int and -TELLING < item < TELLING):
                read_aside(item, (*path, name), name, frame)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            read_aside(item, (*path, i), key, frame)
    elif is_number(value) and abs(value) >= TELLING:
        frame.say_number(path, value)


def _key(path: Path, frame: ChatFrame) -> None:
    key = path[-1]
    if isinstance(key, str) and key not in KEYS:
        frame.say_whole(path, key, is_key=True)
