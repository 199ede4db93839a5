"""The one importer of the CEL engine: conditions of authz.yaml, checked once and evaluated together.

- `schema`: what each phase's variables are, as messages that the type checker knows
- `facts`: builds those messages, only with the fields that the conditions read
- `checked`: the engine's checked syntax tree
- `analysis`: refuses what the engine would only notice when it runs, or never
- `faults`: the engine's words to ours
- `compiler`: checks conditions and bundles them by phase
- `evaluation`: a bundle of conditions over one set of facts
- `load`: reads a configuration file with everything that it may refer to
"""
