"""One dialect beside another: where its text is and how it says things.

- `base`: the seam; `registry`: which adapter owns a method and path
- `words`, `request_reader`: what the request readers of all dialects share; `request_texts` are the texts as
  they are collected, `request_messages` a conversation, `request_members` what nobody named, `request_unread`
  what is no text, which `measuring` measures; `numbers`: which numbers may tell something
- `turns`: where a request has the turns of a conversation, and what their parts are
- `answer_frame`: what the answer readers of all dialects share; `logprobs`: log probabilities beside a text
- `openai_chat`: POST /v1/chat/completions; its two sides are `openai_chat_request` and `openai_chat_answer`,
  which collects each `openai_chat_frame`, follows each `openai_chat_choice`, and leaves tools to
  `openai_chat_calls` and what the API does not name to `openai_chat_unnamed`
- `openai_responses`: likewise; its answers' texts are told (`openai_responses_told`) at their places
  (`openai_responses_places`), of which several may run on as one text (`openai_responses_runs`);
  `openai_responses_items`: which items of a request name what the model server keeps
- `openai_words`, `openai_refused`: the words of OpenAI's bodies that say nothing of a caller's own, and
  the fields that stop a request; `openai_errors`: its errors
"""
