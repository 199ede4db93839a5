"""What the one store can do, a file for each subject; `sql_store` joins them.

- `units`: the two ways in, one writer and several readers, which all others use
- `record`: entries and the signed head; `sessions`: exchanges, and the results they keep
- `holds`, `grants`: what waits for people, and what need not any more
- `usage`: requests under limits, and reports of them
- `credentials`: API keys, withdrawn tokens, what may be used once
- `notifications`: what receivers are to be told
"""
