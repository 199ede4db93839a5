"""What `authz up` prints when it is ready: three requests to paste into another terminal."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

_ALLOWED = '{"model": "%s", "messages": [{"role": "user", "content": "Write a haiku about doors."}]}'
_HELD = '{"model": "%s", "messages": [{"role": "user", "content": "Plan a party for the office."}]}'
_DENIED = (
    '{"model": "%s", "messages": [{"role": "user", "content": '
    '"Is this key fine? -----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\\n'
    '-----END PRIVATE KEY-----"}]}'
)


def things_to_try(*, gateway: str, model: str, data_dir: Path) -> str:
    """Lines that work when pasted into a shell in this directory, while `authz up` runs."""
    here = shlex.quote(str(data_dir))
    authz = authz_command()
    approve = (
        f"{authz} hold list --data-dir {here}; "
        f"{authz} hold approve --data-dir {here} --yes --reason 'seen' "
        f"$({authz} hold list --data-dir {here} --json | {first_id()})"
    )
    parts = [
        ("a request that goes through", _curl(gateway, authz, "alice", "staff", _ALLOWED % model, here)),
        ("one that waits for a reviewer", _curl(gateway, authz, "carol", "contractors", _HELD % model, here)),
        ("  ... and, in a third terminal, the list of what waits and an approval", approve),
        ("one that is denied", _curl(gateway, authz, "alice", "staff", _DENIED % model, here)),
    ]
    return "\n".join(f"\n# {title}\n{line}" for title, line in parts) + "\n"


def authz_command() -> str:
    """How a shell in this directory calls the command `authz` of this installation."""
    script = Path(sys.executable).with_name("authz")
    if not os.access(script, os.X_OK):
        return f"{shlex.quote(sys.executable)} -m authz_cli.main"
    try:
        short = script.relative_to(Path.cwd())
    except ValueError:
        return shlex.quote(str(script))
    return shlex.quote(str(short))


def first_id() -> str:
    """A filter that takes the list of holds as JSON and gives the id of the newest."""
    program = 'import json,sys; print(json.load(sys.stdin)[0]["id"])'
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}"


def _curl(gateway: str, authz: str, subject: str, group: str, body: str, data_dir: str) -> str:
    unverified = " --insecure" if gateway.startswith("https:") else ""
    token = f"$({authz} token --subject {subject} --group {group} --data-dir {data_dir})"
    return (
        f"curl -sS{unverified} {gateway}/v1/chat/completions -H 'content-type: application/json' "
        f'-H "Authorization: Bearer {token}" -d {shlex.quote(body)}'
    )
