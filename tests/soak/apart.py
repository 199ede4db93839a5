"""The gateway run apart, as operators with an Envoy of their own do: the service restarts at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import httpx
from tests.e2e.crew import processes
from tests.e2e.people import until
from tests.e2e.stack import START_SECONDS, Stack, environment

from authz_service.proxy.binary import envoy_path

STOP_SECONDS = 90.0


class Apart(Stack):
    """A `Stack` whose service and Envoy are children of the test itself; workers are the service's."""

    _service: subprocess.Popen[bytes] | None = None
    _envoy: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The gateway's base, from the configuration."""
        port = self.config_file.read_text().split("127.0.0.1:", 1)[1].split('"', 1)[0]
        return f"http://127.0.0.1:{port}"

    @property
    def service(self) -> subprocess.Popen[bytes]:
        """The running service."""
        assert self._service is not None
        return self._service

    def start(self) -> None:
        """Run `authz serve`, then Envoy on what `authz envoy render` says."""
        self.start_service()
        rendering = ["--config", str(self.config_file), "-o", str(self.rendered)]
        self.cli("envoy", "render", *rendering, *self._workers())
        self.start_envoy()
        self._wait_until_it_answers()

    @property
    def rendered(self) -> Path:
        """Envoy's file."""
        return self.folder / "envoy.yaml"

    def start_envoy(self) -> None:
        """Run Envoy on the rendered file; it answers a moment later."""
        command = [str(envoy_path()), "-c", str(self.rendered), "--use-dynamic-base-id", "-l", "warning"]
        with self._log("envoy.log") as log:
            self._envoy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_envoy(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self._envoy is not None
        self._envoy.kill()
        self._envoy.wait()

    def end_envoy(self) -> None:
        """SIGTERM, and wait until it is gone."""
        assert self._envoy is not None
        self._envoy.terminate()
        self._envoy.wait(STOP_SECONDS)

    def start_service(self) -> None:
        """Run `authz serve`; returns when it has said its addresses."""
        command = [sys.executable, "-m", "authz_cli.main", "serve", "--config", str(self.config_file)]
        command += ["--data-dir", str(self.data), *self._workers()]
        with self._log("service.log") as log:
            self._service = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment()
            )
        assert self._service.stdout
        if not self._service.stdout.readline():
            raise AssertionError(f"the service did not start:\n{self.logs()}")

    def kill_service(self) -> None:
        """SIGKILL, and wait until it is gone, with its workers."""
        self.service.kill()
        self.service.wait()
        assert self.service.stdout
        self.service.stdout.close()
        until(lambda: not processes(self), "the end of the workers")

    def stop(self) -> None:
        """Stop both."""
        for process in (self._envoy, self._service):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(STOP_SECONDS)
            if process is not None and process.stdout:
                process.stdout.close()

    def logs(self) -> str:
        """Everything that both said."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {f.name}\n{f.read_text(errors='replace')[-6000:]}" for f in files)

    def _workers(self) -> list[str]:
        return ["--workers", str(self.workers)] if self.workers > 1 else []

    def _log(self, name: str) -> IO[bytes]:
        return Path(self.folder / name).open("ab")

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/v1/models").status_code == 401:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the gateway did not start:\n{self.logs()}")
