"""Paths of model APIs that this gateway knows and does not carry: what they are, for who asks in vain."""

from __future__ import annotations

_KEPT = "keeps content at the model server, where this gateway does not see who reads it"
_TOKENS = "works on tokens, which this gateway cannot read"
_SCORES = "judges texts against each other, which this gateway has no adapter for"
_MEDIA = "carries media, and this gateway judges text only"
_MODELS = "manages the model server itself, which is its operators' business"

_PATHS: dict[str, str] = {
    "/v1/realtime": "The realtime API runs over WebSockets or WebRTC, which this gateway does not carry.",
    "/v1/responses/compact": f"Compacting a conversation {_KEPT}.",
    "/v1/responses/input_tokens": f"Counting the tokens of a response {_TOKENS}.",
    "/v1/responses": f"Fetching or changing a response {_KEPT}; ask with POST /v1/responses.",
    "/v1/chat/completions": f"A stored chat completion {_KEPT}; ask with POST /v1/chat/completions.",
    "/v1/conversations": f"The conversations API {_KEPT}.",
    "/v1/assistants": f"The assistants API {_KEPT}.",
    "/v1/threads": f"The assistants API {_KEPT}.",
    "/v1/vector_stores": f"The vector stores API {_KEPT}.",
    "/v1/containers": f"The containers API {_KEPT}.",
    "/v1/files": f"The files API {_KEPT}.",
    "/v1/uploads": f"The uploads API {_KEPT}.",
    "/v1/batches": f"The batch API {_KEPT}.",
    "/v1/messages/batches": f"The message batches API {_KEPT}.",
    "/v1/fine_tuning": f"The fine-tuning API {_KEPT}.",
    "/v1/evals": f"The evals API {_KEPT}.",
    "/v1/audio": f"This audio API {_MEDIA}.",
    "/v1/images": f"The images API {_MEDIA}.",
    "/v1/videos": f"The videos API {_MEDIA}.",
    "/v1/moderations": f"The moderations API {_SCORES}.",
    "/v1/score": f"Scoring {_SCORES}.",
    "/v1/rerank": f"Reranking {_SCORES}.",
    "/v1/reranking": f"Reranking {_SCORES}.",
    "/v2/rerank": f"Reranking {_SCORES}.",
    "/score": f"Scoring {_SCORES}.",
    "/rerank": f"Reranking {_SCORES}.",
    "/reranking": f"Reranking {_SCORES}.",
    "/classify": f"Classification {_SCORES}.",
    "/pooling": f"Pooling {_SCORES}.",
    "/tokenize": f"Tokenising {_TOKENS}.",
    "/detokenize": f"Detokenising {_TOKENS}.",
    "/apply-template": "It shows how the model server writes a prompt, which this gateway does not carry.",
    "/embedding": "llama.cpp's own embeddings are not carried; ask with POST /v1/embeddings.",
    "/embeddings": "This alias is not carried; ask with POST /v1/embeddings.",
    "/completions": "This alias is not carried; ask with POST /v1/completions or POST /completion.",
    "/chat/completions": "This alias is not carried; ask with POST /v1/chat/completions.",
    "/responses": "This alias is not carried; ask with POST /v1/responses.",
    "/api/pull": f"Pulling a model {_MODELS}.",
    "/api/push": f"Pushing a model {_MODELS}.",
    "/api/create": f"Creating a model {_MODELS}.",
    "/api/delete": f"Deleting a model {_MODELS}.",
    "/api/copy": f"Copying a model {_MODELS}.",
    "/api/blobs": f"A model's blobs: this {_MODELS}.",
    "/api/show": f"Showing a model {_MODELS}.",
    "/api/ps": f"Listing what runs {_MODELS}.",
    "/api/tags": "Ollama's list of models is not carried; GET /v1/models lists those of this gateway.",
    "/v2/repository": f"The model repository API {_MODELS}.",
    "/v2/systemsharedmemory": "Shared memory of the model server holds content that nobody here has seen.",
    "/v2/cudasharedmemory": "Shared memory of the model server holds content that nobody here has seen.",
    "/v1/load_lora_adapter": f"Loading an adapter {_MODELS}.",
    "/v1/unload_lora_adapter": f"Unloading an adapter {_MODELS}.",
    "/slots": f"The server's slots: this {_MODELS}.",
    "/lora-adapters": f"The server's adapters: this {_MODELS}.",
    "/props": f"The server's properties: this {_MODELS}.",
    "/inference.grpcinferenceservice": "Inference over gRPC is not carried; the same over HTTP is.",
    "/": "This path of Text Generation Inference is not carried; ask with POST /generate.",
}
"""By the beginning of a path, in whole segments and lower case. The longest that fits is meant."""


_ANYWHERE = frozenset(("responses", "conversations"))
_AT_THE_ROOT = (
    *(("chat", "completions"), ("messages", "batches"), ("batches",), ("slots",)),
    *(("files",), ("uploads",), ("vector_stores",), ("containers",), ("assistants",), ("threads",)),
    *(("evals",), ("fine_tuning",)),
)
_BEFORE_THE_ROOT = frozenset(("api", "beta", "openai", "v1", "v1beta"))
"""Segments that servers have before the paths of OpenAI's API, in any number (`/openai/v1`)."""


def has_results(path: str) -> bool:
    """Whether a path leads to what a model server keeps of callers: their exchanges, their files.

    Servers have these paths with prefixes of their own (`/v1/openai/v1/responses`), and without any.
    """
    segments = tuple(path.lower().strip("/").split("/"))
    if not _ANYWHERE.isdisjoint(segments):
        return True
    while segments and segments[0] in _BEFORE_THE_ROOT:
        segments = segments[1:]
    return any(segments[: len(root)] == root for root in _AT_THE_ROOT)


def why_unsupported(path: str) -> str:
    """A sentence on what a path is and why it is not carried; empty for one that nobody knows."""
    wanted = path.lower()
    while wanted.strip("/"):
        if (known := _PATHS.get(wanted)) is not None:
            return known
        wanted = wanted.rpartition("/")[0]
    return _PATHS["/"] if path == "/" else ""
