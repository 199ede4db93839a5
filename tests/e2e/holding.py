"""The configuration of a stack whose rules hold requests for approvals of several kinds."""

from __future__ import annotations

from tests.e2e.stack import CONFIG

MORE_RULES = """\
    - {{name: pairs, when: "'pairs' in caller.groups", effect: hold, approval: two}}
    - {{name: hasty, when: "'hasty' in caller.groups", effect: hold, approval: soon}}
answers:
"""
MORE_APPROVALS = """\
approvals:
  two:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 2, within: 30m}}
  soon:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 1, within: 2s}}
"""
HOLDS_CONFIG = CONFIG.replace("answers:\n", MORE_RULES).replace("approvals:\n", MORE_APPROVALS)
