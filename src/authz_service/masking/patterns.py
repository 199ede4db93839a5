"""Parts that several patterns are made of."""

from __future__ import annotations

GAP = r"[ \-\x{A0}\x{202F}\x{2010}-\x{2015}]"
"""Space, hyphen, and what models and typesetting write for them: no-break spaces, other hyphens, dashes."""

LETTER = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{52F}"
"""Scripts that put spaces between words, for a class. In others an address could begin anywhere in a
sentence, and a stream would hold back all of it."""

WORD = "[A-Za-z0-9_-]"
"""The characters of base64url, and of most tokens."""
