"""Finds sensitive values in texts and in streams of text.

- `finding`, `seams`: the values and protocols that the rest of the service sees
- `detectors`: the entity types we know, and `build_scanner`
- `scanner`: a compiled set of detectors over whole texts
- `stream`: the same over a channel that arrives in pieces, holding back only what could still grow
- `embedded`, `json_text`, `grammar`: the same for a JSON document inside a string
- `steps`, `pattern_detector`, `region_detector`: one step of one detector over a window of text
- `validators`: what a pattern cannot say (Luhn, mod 97, the digits beside a match)
- `syntax`, `prefix`: RE2 patterns, and the language of their prefixes
- `engine`, `characters`: RE2 itself, and the UTF-8 bytes that it sees
- `placeholder`: what stands in the place of a finding
"""
