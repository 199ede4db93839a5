"""The files of each case: our authz.yaml with ten rules, and what Envoy gets of envoy.yaml."""

from __future__ import annotations

import io

from bench.plan import Shape
from ruamel.yaml import YAML

HOLDS = "wait: 3m, use_within: 15m"
LONGEST = 20_000
"""Tokens of a prompt that need no approval."""

_TEXT = """\
version: 1
listen: {{address: "127.0.0.1:{port}"}}
models:
{models}
identity: {{embedded: true}}
review:
  audience: authz-review
  reviewers: "'reviewers' in person.groups"
  auditors: "'auditors' in person.groups"
requests:
  default: deny
  rules:
    - {{name: staff, when: "'staff' in caller.groups", effect: allow}}
    - {{name: contractors, when: "'contractors' in caller.groups", effect: hold, approval: security}}
    - {{name: no-private-keys, when: "findings.PRIVATE_KEY.count > 0", effect: deny, reason: No keys.}}
    - {{name: no-cloud-keys, when: "findings.AWS_ACCESS_KEY.count > 0", effect: deny, reason: No keys.}}
    - name: no-tokens
      when: findings.GITHUB_TOKEN.count > 0 || findings.JWT.count > 0
      effect: deny
      reason: Tokens may not be sent to a model.
    - {{name: many-cards, when: "findings.CREDIT_CARD.count > 3", effect: hold, approval: security}}
    - {{name: long-prompts, when: "request.token_estimate > {longest}", effect: hold, approval: security}}
    - name: tools-for-staff-only
      when: size(request.tools) > 0 && !('staff' in caller.groups)
      effect: deny
      reason: Tools are for staff.
    - name: secret-project
      when: request.new_turn.contains('Project Nightjar')
      effect: hold
      approval: security
    - name: unattended
      when: now.getHours('UTC') < 5 && 'robots' in caller.groups
      effect: hold
      approval: security
holds: {{{holds}}}
approvals:
  security:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 1, within: 24h, on_timeout: reject}}
store: {{url: "{store}"}}
"""

_MASKING = """\
answers:
  default: allow
  rules:
    - {name: no-keys-out, when: "answer.findings.PRIVATE_KEY.count > 0", effect: deny, reason: A key.}
masks:
  - name: personal-data
    in: [requests, answers]
    entities: [EMAIL_ADDRESS, CREDIT_CARD, IBAN_CODE, US_SSN]
    with: type
"""


def authz_yaml(
    *,
    port: int,
    model_port: int,
    store: str,
    keys: str = "",
    is_masked: bool = True,
    holds: str = HOLDS,
    longest: int = LONGEST,
) -> str:
    """The configuration of the service; the floor's Envoy is rendered from the same.

    `keys` is the URL of the key store; without one it lies in the data directory. Unless it `is_masked`,
    nothing is replaced, and no rule looks at answers. `holds` is what stands in that section, and prompts of
    more than `longest` tokens are held.
    """
    models = "\n".join(f'  - {{name: {shape}, url: "http://127.0.0.1:{model_port}"}}' for shape in Shape)
    text = _TEXT.format(port=port, models=models, store=store, holds=holds, longest=longest)
    text += _MASKING if is_masked else ""
    return f'{text}record: {{keys: {{url: "{keys}"}}}}\n' if keys else text


def without_gate(rendered: str) -> str:
    """The same Envoy with nothing in the way: its filters are off, and every path leads to the model.

    All else stays: listener, limits, headers, access log, the model's cluster.
    """
    yaml = YAML(typ="rt")
    document = yaml.load(rendered)
    chain = document["static_resources"]["listeners"][0]["filter_chains"][0]
    manager = chain["filters"][0]["typed_config"]
    manager["http_filters"] = manager["http_filters"][-1:]
    host = manager["route_config"]["virtual_hosts"][0]
    host["routes"] = host["routes"][:1]
    host["routes"][0]["match"] = {"prefix": "/"}
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
