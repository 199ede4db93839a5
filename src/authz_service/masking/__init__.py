"""Finds sensitive values in texts and in streams of text.

- `finding`, `seams`: the values and protocols that the rest of the service sees
- `operators`, `placeholder`: what stands in the place of a value
- `placeholders`: those of one request, with their values; `restoring` puts these back, `marked` finds them
- `catalogue`: the entity types that we know, listed in `personal_data`, `national_numbers`, `network` and
  `credentials` in the words of `entity_type`; `detectors`: `build_scanner`
- `options`, `terms`: what operators say about a detector, and on which terms a match counts
- `scanner`: a compiled set of detectors over whole texts; `family`: those that are searched for in one pass
- `stream`: the same over a channel that arrives in pieces, holding back only what could still grow
- `viewed`: the same through `views`, in which hidden values show (`alike`, `offsets`), and their `union`
- `parted`: the same for a text in parts; `whole_texts`: by a function that knows whole texts only
- `embedded`, `json_text`, `grammar`: the same for a JSON document inside a string
- `steps`, `pattern_detector`, `number_detector`, `region_detector`, `base64_detector`: one step of one
  detector over a window of text
- `validators`, `identifiers`, `phone_numbers`: what a pattern cannot say (checksums, what stands beside);
  `numbering_plans`: what is no phone number at a glance
- `patterns`, `syntax`, `prefix`: RE2 patterns, and the language of their prefixes
- `engine`, `characters`: RE2 itself, and the UTF-8 bytes that it sees
"""
