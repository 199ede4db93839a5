"""The fixed words of OpenAI's speech to text, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused
from authz_service.model_apis.words import Words, word_set
from authz_service.view.unread import Kind

_AS_TOKENS = "the answer would repeat its text as tokens, which this gateway cannot mask"
_MEDIA = "it holds media, and this gateway judges text only"
_VOICES = "known_speaker_references[]"

REFUSED: Mapping[str, str] = {
    **{key: why for key, why in openai_refused.REFUSED.items() if key not in ("prompt", "tokens", "file")},
    "include[]": _AS_TOKENS,
    "include": _AS_TOKENS,
    _VOICES: _MEDIA,
}

_KEYS = word_set("""
    avg_logprob beam_size chunking_strategy code compression_ratio duration end error file filename
    frequency_penalty hotwords id input_token_details input_tokens known_speaker_names[] language
    max_completion_tokens message min_p model no_speech_prob output_tokens param presence_penalty prompt
    repetition_penalty response_format seconds seed seek segments speaker start stream
    stream_continuous_usage_stats stream_include_usage task temperature text text_tokens audio_tokens
    timestamp_granularities[] to_language tokens top_k top_p total_tokens transient type usage vad_filter
    word words
    """)

AUDIO_WORDS = Words(
    keys=_KEYS | frozenset(REFUSED),
    selecting={
        "response_format": word_set("json verbose_json"),
        "timestamp_granularities[]": word_set("word segment"),
        "chunking_strategy": frozenset({"auto"}),
        "stream": word_set("false False 0"),
        "type": word_set("duration tokens"),
        "task": word_set("transcribe translate"),
    },
    refused=REFUSED,
    zero_is_off=openai_refused.ZERO_IS_OFF,
    kinds={
        **{key: kind for key, kind in openai_refused.KINDS.items() if key in REFUSED},
        _VOICES: Kind.AUDIO,
    },
)
