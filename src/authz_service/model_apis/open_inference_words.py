"""The fixed words of the Open Inference Protocol, and the fields that stop a request."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.model_apis import openai_refused
from authz_service.model_apis.words import Words, word_set

_BINARY = "its content would follow the document as bytes, which this gateway cannot read"
_MEMORY = "it names memory of the model server, which this gateway has not seen"
_SEQUENCE = "it goes on with what the model server kept of earlier requests, which may be another caller's"

REFUSED: Mapping[str, str] = {
    **openai_refused.REFUSED,
    **dict.fromkeys(("binary_data", "binary_data_size", "binary_data_output"), _BINARY),
    **dict.fromkeys(("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"), _MEMORY),
    **dict.fromkeys(("sequence_id", "sequence_start", "sequence_end"), _SEQUENCE),
}

_KEYS = word_set("""
    bad_words beam_width classification content_type contents data datatype end_id error
    exclude_input_in_output headers id inputs length_penalty max_tokens model_name model_version name
    num_beams outputs pad_id
    parameters presence_penalty priority random_seed repetition_penalty sampling_parameters seed shape
    stop stop_words stream temperature text_input text_output timeout top_k top_p
    triton_enable_empty_final_response triton_final_response
    """)

ANSWER_KEYS = word_set("""
    datatype error id model_name model_version name outputs parameters sequence_end sequence_id
    sequence_start shape text_output triton_final_response
    """)
"""Those of an answer and its tensors: what stands there under another key may go on in the next."""

DATATYPES = word_set("""
    BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 FP32 FP64 BF16 BYTES
    """)
FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16", "BOOL"})
"""Types of numbers that are no tokens."""

INFERENCE_WORDS = Words(
    keys=_KEYS | frozenset(REFUSED),
    selecting={"datatype": DATATYPES},
    refused=REFUSED,
    zero_is_off=openai_refused.ZERO_IS_OFF,
    kinds=openai_refused.KINDS,
)
