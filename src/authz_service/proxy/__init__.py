"""Fills in envoy/envoy.yaml, checks that it keeps the gate shut, and runs it.

- `template`, `settings`, `render`, `model_parts`, `service_parts`: the file, what is filled into it, and how
- `credentials`, `files`: the models' credentials, where only Envoy and this user can read them
- `validate`: all checks: `document` (YAML with one reading), `schema` (Envoy's own messages), the gate
- `gate_listener`, `gate_filters`, `gate_routes`, `gate_clusters`: what each part may look like, in the
  words of `shape`; `faults` is what comes out
- `binary`: the Envoy that is installed, and its own judgement
- `supervise`, `child`, `probes`: programs that start, come back and end together
"""
