"""The whole gateway for a test: `authz up` with a real Envoy, in front of a scripted model server."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import openai
from tests.e2e.upstream import Upstream

START_SECONDS = 120.0

CONFIG = """\
version: 1
listen: {{address: "127.0.0.1:{port}"}}
models:
  - {{name: llama, aliases: [gpt-4o], url: "{model_url}"}}
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
    - name: no-keys
      when: "findings.PRIVATE_KEY.count > 0"
      effect: deny
      reason: Private keys may not be sent to a model.
    - {{name: careful, when: "false", effect: deny, shadow: true}}
answers:
  default: allow
  rules:
    - name: no-aws-keys
      when: "answer.findings.AWS_ACCESS_KEY.count > 0"
      effect: deny
      reason: The answer had a key in it.
paths:
  - {{method: GET, path: /health, when: "'staff' in caller.groups"}}
masks:
  - name: personal-data
    in: [requests, answers]
    entities: [EMAIL_ADDRESS, CREDIT_CARD, IBAN_CODE]
    with: type
detectors:
  - {{name: EMPLOYEE_ID, pattern: 'E-\\d{{6}}'}}
holds: {{wait: {wait}, use_within: {use_within}, pending_per_caller: 20, noise: [/metadata/nonce]}}
approvals:
  security:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: {votes}, within: {within}, on_timeout: reject}}
limits: {{body: 8MiB, depth: 64}}
store: {{url: "{store}"}}
"""


_NEXT = itertools.count(random.randrange(20_000))


def free_port() -> int:
    """A port that nobody listens on, and that nobody is given who asks the system for any.

    So it stays free until it is bound, and from a stop to the next start. This process names none twice.
    """
    while True:
        port = 10_000 + next(_NEXT) % 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment() -> dict[str, str]:
    """The environment of a process of ours: the packages of this checkout, and no settings from outside."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AUTHZ_", "OPENAI_"))}


@dataclass(slots=True)
class Stack:
    """`with Stack(folder) as stack:` runs the gateway until the end of the block.

    Keyword arguments fill the configuration above; `config` replaces it. `options` are more of `authz up`.
    Who waits for people is sent away after longer than any test takes, unless `wait` says otherwise.
    """

    folder: Path
    wait: str = "5m"
    use_within: str = "15m"
    within: str = "30m"
    votes: int = 1
    store: str = "sqlite:///authz.db"
    config: str = CONFIG
    workers: int = 1
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    upstream: Upstream = field(default_factory=Upstream)
    _up: subprocess.Popen[bytes] | None = None
    _clients: list[openai.OpenAI] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def config_file(self) -> Path:
        """The configuration that is in force."""
        return self.folder / "authz.yaml"

    def __enter__(self) -> Self:
        self.upstream.__enter__()
        try:
            self.write_config()
            self.start()
        except BaseException:
            self.upstream.__exit__()  # or its thread would keep the tests from ending
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        for client in self._clients:
            client.close()
        try:
            self.stop()
        finally:
            self.upstream.__exit__(*exception)

    def write_config(self, **changes: str) -> None:
        """Write the configuration, with `changes` to what fills it."""
        values: dict[str, Any] = {
            "port": free_port(),
            "model_url": self.upstream.url,
            "wait": self.wait,
            "use_within": self.use_within,
            "within": self.within,
            "votes": self.votes,
            "store": self.store,
        }
        if self.config_file.exists():
            listening = self.config_file.read_text().split("127.0.0.1:", 1)[1]
            values["port"] = int(listening.split('"', 1)[0])
        self.config_file.write_text(self.config.format(**(values | changes)))

    def start(self) -> None:
        """Run `authz up` and wait until the gateway answers."""
        command = [sys.executable, "-m", "authz_cli.main", "up"]
        command += ["--config", str(self.config_file), "--data-dir", str(self.data)]
        command += ["--workers", str(self.workers)] if self.workers > 1 else []
        command += self.options
        with (self.folder / "up.log").open("ab") as log:
            env = {**environment(), **self.environment}
            self._up = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            if self._up.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the gateway did not start:\n{self.logs()}")
            time.sleep(0.05)

    def _is_up(self) -> bool:
        """Whether up.json is of this run: one that was killed leaves its own behind."""
        return (self.data / "up.json").exists() and self.info["pid"] == self.process.pid

    def stop(self) -> None:
        """SIGINT, as Ctrl-C sends it; the gateway must end by itself."""
        if self._up is None:
            return
        self._up.send_signal(signal.SIGINT)
        try:
            self._up.wait(60)
        except subprocess.TimeoutExpired:
            self._up.kill()
            self._up.wait()
            raise AssertionError(f"the gateway did not stop:\n{self.logs()}") from None
        finally:
            self._up = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running `authz up`."""
        assert self._up is not None
        return self._up

    @property
    def info(self) -> dict[str, Any]:
        """What `up.json` says."""
        found: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return found

    @property
    def url(self) -> str:
        """The gateway's base, without a path."""
        return str(self.info["gateway"]).rstrip("/")

    def metrics(self) -> str:
        """The page of metrics."""
        return httpx.get(self.info["metrics"], timeout=60).text

    def logs(self) -> str:
        """Everything that the processes said, for a failing test."""
        files = [self.folder / "up.log", *sorted((self.data / "logs").glob("*"))]
        return "\n".join(
            f"--- {f.name}\n{f.read_text(errors='replace')[-6000:]}" for f in files if f.exists()
        )

    def reload(self, **changes: str) -> dict[str, Any]:
        """Write the configuration with `changes`, send SIGHUP, and what the service's log says then."""
        before = len(self.service_log("policy."))
        self.write_config(**changes)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while len(said := self.service_log("policy.")) == before:
            assert time.monotonic() < deadline, f"nothing was reloaded:\n{self.logs()}"
            time.sleep(0.02)
        return said[-1]

    def service_log(self, event: str) -> list[dict[str, Any]]:
        """The lines of the service's log whose event begins with `event`."""
        lines = (self.data / "logs" / "service.log").read_text(errors="replace").splitlines()
        said = [json.loads(line) for line in lines if line.startswith('{"') and line.endswith("}")]
        return [line for line in said if str(line.get("event", "")).startswith(event)]

    def processes(self) -> dict[int, str]:
        """All processes that have the data directory on their command line, by their ids."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:  # it ended meanwhile
                continue
            if os.fsencode(self.data) in command:
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found

    def cli(
        self, *arguments: str, check: int | None = 0, token: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `authz`; `check` is the exit code that is expected, None for any.

        Without a `token` of somebody's the command signs itself one, of whoever runs the tests.
        """
        command = [sys.executable, "-m", "authz_cli.main", *arguments]
        env = environment() | {"AUTHZ_DATA_DIR": str(self.data)}
        env |= {} if token is None else {"AUTHZ_TOKEN": token}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=60
        )
        if check is not None:
            assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def cli_json(self, *arguments: str) -> Any:
        """What `authz ... --json` says."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def token(self, subject: str = "alice", *groups: str, ttl: str = "1h", review: bool = False) -> str:
        """A token from the embedded issuer, signed here as `authz token` does."""
        from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
        from authz_service.keys.data_dir import DataDir

        issuer = EmbeddedIssuer.load(DataDir.open(self.data).issuer_key)
        seconds = int(ttl[:-1]) * {"s": 1, "m": 60, "h": 3600}[ttl[-1]]
        audience = "authz-review" if review else GATEWAY_AUDIENCE
        return issuer.sign(subject, list(groups), audience=audience, ttl=seconds, now=time.time())

    def sdk(self, subject: str = "alice", *groups: str, **options: Any) -> openai.OpenAI:
        """The official SDK, with nothing changed but where it calls and what key it has."""
        key = options.pop("api_key", None) or self.token(subject, *groups)
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, **options)
        self._clients.append(client)
        return client

    def post(
        self,
        body: bytes | object,
        *groups: str,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        subject: str = "alice",
    ) -> httpx.Response:
        """One plain request, for what no SDK would send."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"authorization": f"Bearer {self.token(subject, *groups)}", "content-type": "application/json"}
        return httpx.post(f"{self.url}{path}", content=content, headers=own | dict(headers), timeout=60)

    def holds(self, *arguments: str) -> list[dict[str, Any]]:
        """`authz hold list --json`."""
        found: list[dict[str, Any]] = self.cli_json("hold", "list", *arguments)
        return found

    def wait_for_hold(self, *, waiting: int = 1, timeout: float = 60.0) -> dict[str, Any]:
        """The one pending hold, once as many callers wait for it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = [hold for hold in self.holds() if hold["state"] == "pending"]
            if len(found) == 1 and found[0]["waiting"] == waiting:
                return found[0]
        raise AssertionError(f"no such hold: {self.holds('--all-states')}\n{self.logs()}")

    def session(self, session_id: str) -> dict[str, Any]:
        """`authz session show ID --json`."""
        found: dict[str, Any] = self.cli_json("session", "show", session_id)
        return found

    def child(self, name: str) -> int:
        """The process id of a child of `authz up` whose command line has `name` in it."""
        for line in subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        ).stdout.splitlines():
            pid, arguments = line.strip().split(" ", 1)
            if name in arguments:
                return int(pid)
        raise AssertionError(f"no child {name}")


CHAT: dict[str, Any] = {"model": "llama", "messages": [{"role": "user", "content": "Hello"}]}
