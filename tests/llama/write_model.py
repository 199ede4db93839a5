"""Writes a GGUF model of some 150 KB with random weights: it speaks, though it says nothing.

Runs in the environment that setup_llama.py makes, where `gguf` is. The same file each time.
"""

from __future__ import annotations

import sys

import gguf  # type: ignore[import-not-found]  # in an environment of its own
import numpy as np  # type: ignore[import-not-found]  # comes with gguf

SEED = 20261121
CONTEXT, WIDTH, HEADS, INNER = 8192, 32, 2, 32

SPACE = "\u2581"
"""How SentencePiece writes a space."""

WORDS = (
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "river",
    "stone",
    "bridge",
    "gate",
    "word",
    "line",
    "paper",
)
MARKS = ("<tool_call>\n", "</tool_call>")
PIECES = ("john", "example", "org", "11", "1111", "41")

TEMPLATE = """\
{% if tools %}<s>tools: {{ tools | tojson }}</s>{% endif %}\
{% for message in messages %}<s>{{ message.role }}: {{ message.content }}\
{% for call in message.tool_calls %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}</s>{% endfor %}\
{% if add_generation_prompt %}<s>assistant:{% endif %}"""
"""How Hermes and its like call tools: the server knows that form by it, and reads it."""

SILENT = -4.0
"""What keeps an output from being chosen, unless a grammar leaves nothing else."""


def main(path: str) -> None:
    """Write the model to `path`."""
    tokens, scores, types = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    for name, values in _tensors(types).items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Tokens, scores (a higher one is merged first) and types: every byte, ASCII, and some words."""
    kinds = gguf.TokenType
    control = [("<unk>", 0.0, kinds.UNKNOWN), ("<s>", 0.0, kinds.CONTROL), ("</s>", 0.0, kinds.CONTROL)]
    each_byte = [(f"<0x{value:02X}>", 0.0, kinds.BYTE) for value in range(256)]
    characters = [(chr(code), -100.0, kinds.NORMAL) for code in range(0x21, 0x7F)]
    spelled = [SPACE, *(SPACE + word for word in WORDS), *PIECES]
    spoken = [(word, float(len(word) - 50), kinds.NORMAL) for word in spelled]
    marks = [(mark, 0.0, kinds.USER_DEFINED) for mark in MARKS]
    tokens, scores, types = zip(*control, *each_byte, *characters, *spoken, *marks, strict=True)
    return list(tokens), list(scores), [int(kind) for kind in types]


def _tensors(types: list[int]) -> dict[str, np.ndarray]:
    """One layer. The first dimension of the stream is a constant, by which outputs are silenced."""
    chance = np.random.default_rng(SEED)

    def random(*shape: int, scale: float) -> np.ndarray:
        return chance.normal(0.0, scale, shape)

    embedding = random(len(types), WIDTH, scale=0.5)
    embedding[:, 0] = 4.0
    output = random(len(types), WIDTH, scale=1.0)
    output[:, 0] = [0.0 if kind == gguf.TokenType.NORMAL else SILENT for kind in types]
    tensors = {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": np.ones(WIDTH)}
    for name in ("attn_norm", "ffn_norm"):
        tensors[f"blk.0.{name}.weight"] = np.ones(WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}.weight"] = random(WIDTH, WIDTH, scale=0.1)
    return tensors


if __name__ == "__main__":
    main(sys.argv[1])
