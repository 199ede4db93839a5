"""The authz.yaml that `authz up` begins with: it shows each effect once, and says what to change."""

from __future__ import annotations

from collections.abc import Sequence

_TEXT = """\
# What passes, what waits for a person, what never leaves. Reload after a change: SIGHUP to `authz serve`.
# Check it with `authz policy check FILE`; docs/configuration.md explains every key.
version: 1

# Where applications send their requests. Beyond this machine it needs tls: {{cert: FILE, key: FILE}}.
listen: {{address: "{listen}"}}

# The models, by the names that applications ask for, and where their servers are.
models:
{models}

# Our own issuer signs tokens for trying things out: authz token --subject alice --group staff
# Whoever runs this machine can sign for anybody. List your company's issuers here before it counts.
identity: {{embedded: true}}

# Who may use the review API at all, and who may read the record.
review:
  reviewers: "'reviewers' in person.groups"
  auditors: "'auditors' in person.groups"

# Every rule that matches counts, and the strongest effect wins: deny over hold over allow.
requests:
  default: deny
  rules:
    - name: staff
      when: "'staff' in caller.groups"
      effect: allow
    - name: contractors
      when: "'contractors' in caller.groups"
      effect: hold
      approval: security
    - name: no-private-keys
      when: findings.PRIVATE_KEY.count > 0
      effect: deny
      reason: Private keys may not be sent to a model.
    - name: no-cloud-credentials
      when: findings.AWS_ACCESS_KEY.count > 0
      effect: deny
      reason: Cloud credentials may not be sent to a model.

# What the model says is judged too; here it all passes, masked.
answers:
  default: allow
  rules: []

# These never cross, whoever asks; the placeholder says what was there: [EMAIL_ADDRESS].
masks:
  - name: personal-data
    in: [requests, answers]
    entities: [EMAIL_ADDRESS, CREDIT_CARD, IBAN_CODE, US_SSN]
    with: type

# A caller waits this long on the open connection, then is told to come back for the answer.
holds: {{wait: 3m, use_within: 15m}}

approvals:
  security:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 1, within: 30m, on_timeout: reject}}

# A file in the data directory, or postgresql://USER@HOST/DATABASE
store: {{url: "sqlite:///authz.db"}}
"""


def starter_text(
    *, model_url: str, models: Sequence[str] = ("demo",), listen: str = "127.0.0.1:10000"
) -> str:
    """A whole authz.yaml in which all `models` are served at `model_url`.

    Raises `ValueError` for a value that would not stay one YAML text, and when there is no model.
    """
    if not models:
        raise ValueError("a starter file needs at least one model")
    lines = [f"  - {{name: {_quoted(name)}, url: {_quoted(model_url)}}}" for name in models]
    _quoted(listen)
    return _TEXT.format(listen=listen, models="\n".join(lines))


def _quoted(value: str) -> str:
    if not value.isprintable() or '"' in value or "\\" in value:
        raise ValueError(f"not a value for the starter file: {value!r}")
    return f'"{value}"'
