"""Two services with addresses of their own, as on two hosts: one Envoy reaches both by mutual TLS, both one
PostgreSQL by TCP."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.case import Gateway, Site
from bench.configuration import authz_yaml
from bench.gateways import start_envoy, token_of
from bench.postgres import database
from bench.processes import program

from authz_service.cel.load import load_config
from authz_service.keys.certificates import make_certificates
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.certificate import write_certificates
from authz_service.proxy.probes import accepts, free_port

LOOPBACK = "127.0.0.1"
KEYS = ("log.key", "pseudonym.key", "seal.key", "mask.key", "master.key", "issuer.pem")
"""What is copied from the first host; see docs/workers.md."""

_SERVICE = """\
service:
  addresses: ["127.0.0.1:{one}", "127.0.0.1:{other}"]
  listen: "127.0.0.1:{own}"
  authority: {folder}/authority.crt
  cert: {folder}/service.crt
  key: {folder}/service.key
  envoy_cert: {folder}/envoy.crt
  envoy_key: {folder}/envoy.key
"""


@contextmanager
def on_hosts(site: Site, *, holds: str) -> Iterator[Gateway]:
    """The first host's data directory is the site's folder. `holds` is that section of the configuration."""
    with ExitStack() as stack:
        store = stack.enter_context(database(port=free_port()))
        link = site.folder / "link"
        make_certificates(link, [LOOPBACK], days=2)
        ports = {"one": free_port(), "other": free_port()}
        text = authz_yaml(
            port=free_port(), model_port=site.model_port, store=store.url, keys=store.keys, holds=holds
        )

        def start(data: DataDir, own: int) -> int:
            file = data.root / "authz.yaml"
            file.write_text(text + _SERVICE.format(**ports, own=own, folder=link))
            command = (sys.executable, "-m", "authz_cli.main", "serve", "--config", str(file))
            running = program(
                (*command, "--data-dir", str(data.root)),
                log=data.root / "service.log",
                is_ready=lambda: accepts(LOOPBACK, own),
            )
            return stack.enter_context(running).pid

        data, other = DataDir.open(site.folder), DataDir.open(site.folder / "other")
        pids = {"service": start(data, ports["one"])}
        for name in KEYS:
            shutil.copy(data.root / name, other.root / name)
        pids["other service"] = start(other, ports["other"])
        config = load_config(data.root / "authz.yaml").config
        write_certificates(config, data)
        pids["envoy"] = start_envoy(config, data, stack, is_gated=True)
        pids |= {"model": site.model_pid, "database": store.pid}
        yield Gateway(config.listen.port, token_of(data), pids, store=store.url)
