"""What runs on this machine; each module has a Click command named `command`, joined lazily by the CLI.

- `up`, `up_config`, `up_run`, `up_try`: Envoy, the service and a demo model together; what to try
- `serve`: the service alone; `serve_workers`: as several processes; `standing_by`: how they wait
- `token`: a token from the embedded issuer
- `policy`, `policy_cases`: check a configuration, and test its rules on cases
- `policy_session`, `policy_explain`: why a session was decided as it was
- `envoy`: render and validate Envoy's file
- `audit`: the record, exported and verified (`audit_export`, `audit_prove`, `audit_verify`; an export by
  `authz_verifier`), its key, and what was accepted (`audit_rotate`, `audit_accept`); `audit_source`: what
  these work on
- `record`, `record_work`, `record_remote`: what goes when its time is over, and people to be forgotten
- `certs`: certificates for Envoy and a service on another host
- `store`: the database's schema
- `doctor`, `doctor_checks`, one more for each kind of check: what would keep the gateway from working
- `saml`: what an identity provider is to know of us
- `options`, `progress`: what several of them share
- `demo_model`, `demo_answers`: the model server that `up` runs when it is given none
"""
