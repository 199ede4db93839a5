"""A body to what was found in it and what may go on.

- `results`: what inspecting yields
- `request`: a whole request; `found` is what was found in each of its texts, where `neighbours` finds what is
  split over the items of an array, and `request_edits` what that changes in its body
- `edited`: a request that a reviewer has edited; `edited_answer`: a model's answer
- `answer`: the answer pipe, for streams and whole bodies
- `frames`: the queue of frames that are released once all their text is settled
- `channel`: one text channel, scanned as it comes; its `pieces`, which keep their frames waiting
- `complete`: texts that are complete when they come
- `echoes`: what says a text once more beside it; `tally`: counts a text that is told again once
- `repetition`: recognises an event that differs from the one before it in its text only
- `reversible`: gives values of a request placeholders; `restored`: the answer pipe's second half, which gives
  the values back
- `spans`: findings that overlap, as the spans that one placeholder each replaces
- `reading`: a body of the record read again; `shown`: what it says to whoever decides about it, with
  `marks` where something is found, laid out as a `conversation`
- `every_string`: reads a document of which nothing is known but that its strings are text
"""
