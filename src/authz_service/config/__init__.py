"""authz.yaml to frozen values and a compiled policy, with every fault and its line; pure.

- `read`: the way in: a file's text to a `Loaded`, or all that is wrong with it
- `model`: the configuration as values; `gateway_values`, `identity_values`, `masking_values`,
  `record_values`, `keeping_values`, `notify_values`: its sections
- `starter`: the file that `authz up` begins with
- `cases`: the cases of `authz policy test`
- `roles`: who may review what, by the conditions of the file
- `tree`, `section`, `scalars`, `faults`: YAML with positions, mappings, single values, what is refused
- `gateway`, `link`, `issuers`, `directories`, `people`, `rules`, `holds`, `approvals`, `notify`: the
  sections, a file for each
"""
