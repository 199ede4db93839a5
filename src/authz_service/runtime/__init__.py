"""Drives exchanges: the shell around the core, and the only other place that knows its events.

- `gateway`: what all exchanges of a process share; `rules`: what a reload replaces as a whole
- `driver`: runs one exchange's commands, `store_commands` and `judge_commands` those that the store and
  the rules answer; `mailbox`: what waits to be handled by it
- `revising`: what reviewers make of a request
- `judging`: a request by the rules of this moment; `answers`: an answer as it comes; `held_answers`: one that
  people have approved; `answer_pipes`: how the bytes of both are read, `unsought`: where nobody looks
- `threads`: large bodies, off the event loop; `openings`: turns to ask the store for a hold
- `waiting`: the lines in front of holds; `resuming`: exchanges that an earlier process was holding
- `killing`: exchanges that an operator has ended; `indexing`: the search index follows the record
- `following`: withdrawn tokens and API keys, as the store has them
- `recorder`: entries that nothing waits for
"""
