"""What runs on this machine; each module has a Click command named `command`, joined lazily by the CLI.

- `up`, `up_config`, `up_run`, `up_try`: Envoy, the service and a demo model together; what to try
- `serve`: the service alone; `serve_workers`: as several processes
- `token`: a token from the embedded issuer
- `policy`, `policy_cases`: check a configuration, and test its rules on cases
- `policy_session`, `policy_explain`: why a session was decided as it was
- `envoy`: render and validate Envoy's file
- `certs`: certificates for Envoy and a service on another host
- `store`: the database's schema
- `doctor`, `doctor_checks`, `doctor_clock`: what would keep the gateway from working
- `options`: what several of them share
- `demo_model`, `demo_answers`: the model server that `up` runs when it is given none
"""
