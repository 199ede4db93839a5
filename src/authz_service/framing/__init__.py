"""Bytes to frames and back, each refused when it cannot be read without doubt.

- `json_document`: a strict reading of JSON; `json_faults` says where a document is wrong
- `json_edit`: replaces single strings in a document and leaves every other byte
- `json_values`: how many values a document has, before it is read
- `json_splice`: puts what an editor changed into the document that was edited
- `json_canonical`: canonical bytes for recognising the same document
- `multipart`: a strict reading of forms, and edits of single fields
- `sse`: an incremental decoder of server-sent events
- `prefer`: what a caller says about waiting
- `encoding`: which content types and encodings are read at all
"""
