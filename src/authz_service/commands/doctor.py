"""`authz doctor`: says what on this machine would keep the gateway from working, or from being safe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authz_service.commands.options import data_dir_option

if TYPE_CHECKING:
    from authz_service.commands.doctor_checks import Finding
    from authz_service.keys.data_dir import DataDir

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--config",
    envvar="AUTHZ_CONFIG",
    type=FILE,
    help="An authz.yaml; without one, that of the data directory.",
)
@data_dir_option("Of the installation to look at.")
@click.option("--envoy-file", type=FILE, help="An envoy.yaml that you tuned.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs: a list of findings.")
@click.pass_context
def command(
    ctx: click.Context, config: Path | None, data_dir: Path, envoy_file: Path | None, as_json: bool
) -> None:
    """Check this machine, the configuration and the models; changes nothing.

    Exit code 0 when nothing fails (warnings do not count), 1 when something does.
    """
    from authz_service.commands.doctor_checks import Status
    from authz_service.keys.data_dir import DataDir

    findings = list(_findings(config, DataDir(data_dir.absolute()), envoy_file))
    if as_json:
        objects = [
            {"check": f.check, "status": str(f.status), "message": f.message, "next": f.next_step or None}
            for f in findings
        ]
        click.echo(json.dumps(objects, indent=2))
    else:
        for finding in findings:
            step = f"\n      next: {finding.next_step}" if finding.next_step else ""
            click.echo(f"{finding.status:4}  {finding.check}: {finding.message}{step}")
    ctx.exit(1 if any(f.status is Status.FAIL for f in findings) else 0)


def _findings(path: Path | None, data: DataDir, envoy_file: Path | None) -> Iterator[Finding]:
    from authz_service.commands import doctor_checks as checks
    from authz_service.commands.doctor_certificates import check_certificates
    from authz_service.commands.doctor_clock import check_clock
    from authz_service.commands.doctor_issuers import check_issuers
    from authz_service.commands.doctor_record import check_record
    from authz_service.commands.doctor_saml import check_saml
    from authz_service.commands.doctor_store import check_store
    from authz_service.commands.up_config import DEMO, demo_port
    from authz_service.errors import AuthzError
    from authz_service.proxy.template import template_text

    yield from checks.check_machine()
    yield from checks.check_data_dir(data)
    source = path or data.root / "authz.yaml"
    if path is None and not source.is_file():
        if (data.root / "log.key").exists():
            message = f"{data.root} has been served, and the file it is served with was not named"
            yield checks.Finding("configuration", checks.Status.FAIL, message, "authz doctor --config FILE")
            return
        step = "authz up"
        yield checks.Finding("configuration", checks.Status.OK, "none yet; `authz up` writes a starter", step)
        return
    try:
        from authz_service.cel.load import load_config

        config = load_config(source).config
        template = template_text(envoy_file)
    except AuthzError as error:
        yield checks.Finding("configuration", checks.Status.FAIL, str(error), "correct the file")
        return
    yield checks.Finding("configuration", checks.Status.OK, str(source))
    yield from checks.check_break_glass(config)
    yield from checks.check_ports(config, data)
    yield from checks.check_envoy_file(config, data, template)
    yield from check_certificates(config)
    yield from check_clock(config, data)
    yield from check_store(config, data)
    yield from check_record(config, data)
    yield from check_issuers(config.identity.issuers)
    yield from check_saml(config)
    if demo_port(config) is not None:
        yield checks.Finding("model demo", checks.Status.OK, "comes and goes with `authz up`")
    for model in (model for model in config.models if model.name != DEMO or demo_port(config) is None):
        yield from checks.check_model(model)
