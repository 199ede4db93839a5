"""The command `authz`: noun, then verb, one file for each noun, thin over the review API.

- `main`: the group, and the table from which commands are loaded when they are called
- `options`, `exits`: what commands have in common: where the server is, how they end
- `hold`, `session`, `token`, `key`, `completion`: more nouns; what runs on this machine is in
  `authz_service.commands`
- `log_in`, `auth`, `token_helper`: logins at an OpenID provider, which `oauth` keeps and renews
- `calls`, `hold_client`, `session_client`, `grant_client`: calls of the review API; `refusals` of it
- `login`, `channel`: who calls it, and the way to it; `listed`: the one thing that was meant
- `hold_options`, `hold_actions`, `hold_bulk`, `hold_acts`, `hold_wait`, `hold_watch`: what `hold` does
- `hold_text`, `hold_json`, `hold_context`, `session_text`, `session_json`: how things are shown
- `session_story`, `session_facts`: what a session's entries tell; `session_filters`, `when`: choosing them
- `session_replay`, `typist`, `asciicast`: an exchange as it happened; `session_tail`: the record as it grows
- `session_export`, `session_har`, `session_otlp`, `session_ocsf`: sessions for other programs
- `laid_out`, `changes`: a request as the service lays it out, and what edits changed in one
- `conversation`, `outline`, `streamed`: a body, decoded, as lines
- `safe_text`, `moments`, `table`: what a terminal may be told; times; columns

Nothing here imports gRPC or the service before a command that needs them runs: `authz --help` is fast.
"""
