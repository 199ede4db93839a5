"""docker-compose.yml and the Dockerfile, held against the specification, the commands and this repository.

No engine is asked: what one would do with them is read here.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from authz_cli.main import LazyGroup
from authz_service.cel.load import load_config
from authz_service.commands.serve import command as serve
from authz_service.keys.certificates import make_certificates
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.certificate import write_certificates
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings
from authz_service.proxy.template import template_text
from authz_service.proxy.validate import validate
from authz_service.servers.certificate_dates import certificates_of
from authz_service.store.crew import require_possible

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "authz-service"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKERS = 2


def authz_commands() -> list[list[str]]:
    """What the file has `authz` do, and what it tells people to type."""
    found = [service["command"] for service in OURS.values() if "entrypoint" not in service]
    found.append(shlex.split(SERVICES["envoy"]["command"][0].split("&&")[0])[1:])
    typed = re.findall(r"docker compose exec authz authz (.*)", (ROOT / "docker-compose.yml").read_text())
    return [[str(word) for word in words] for words in (*found, *map(shlex.split, typed))]


def local(tmp_path: Path) -> Path:
    """The configuration with the container's paths made this machine's."""
    make_certificates(tmp_path / "link", ["authz"], days=1)
    make_certificates(tmp_path / "tls", ["localhost"], days=1)
    text = (ROOT / "compose" / "authz.yaml").read_text()
    file = tmp_path / "authz.yaml"
    file.write_text(text.replace("/var/lib/authz-", f"{tmp_path}/"))
    return file


def test_the_file_is_one_of_the_compose_specification(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    good = subprocess.run([*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True)
    assert good.returncode == 0, good.stdout
    bad = tmp_path / "bad.yml"
    bad.write_text((ROOT / "docker-compose.yml").read_text().replace("cap_drop", "cap_dorp"))
    assert subprocess.run([*command, str(bad)], capture_output=True).returncode != 0


@pytest.mark.parametrize("words", authz_commands(), ids=" ".join)
def test_each_command_is_one_that_authz_has(words: list[str], tmp_path: Path) -> None:
    own = [word.replace("/etc/authz/authz.yaml", str(local(tmp_path))) for word in words]
    command: click.Command = LazyGroup("authz")
    while isinstance(command, click.Group) and own and not own[0].startswith("-"):
        context = click.Context(command)
        found = command.get_command(context, own[0])
        assert found is not None, words
        command, own = found, own[1:]
    command.make_context(words[0], own).close()


def test_every_file_of_the_repository_that_is_named_is_there() -> None:
    mounts = [v for service in SERVICES.values() for v in service.get("volumes", []) if v.startswith("./")]
    assert mounts
    assert all((ROOT / mount.split(":")[0]).exists() for mount in mounts)
    assert all(mount.endswith(":ro") for mount in mounts)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                found = [path.name for path in ROOT.glob(source)]
                assert found, line
                for name in found:
                    assert any(fnmatch(name, each) for each in sent), f"{name} is not sent to the builder"


def test_named_volumes_networks_and_dependencies_exist() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"], (name, volume)
        assert all(network in COMPOSE["networks"] for network in service.get("networks", []))
        assert all(other in SERVICES for other in service.get("depends_on", {}))


def test_nothing_runs_as_root_writes_outside_of_its_volumes_or_can_gain_rights() -> None:
    assert DOCKERFILE.rindex("\nUSER authz") > DOCKERFILE.rindex("\nRUN ")
    for name, service in SERVICES.items():
        assert service.get("user") == (None if name in OURS else "postgres"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    folders = re.search(r"install -d -m 0700 -o authz -g authz (.*)", DOCKERFILE)
    assert folders is not None
    targets = {v.split(":")[1] for s in OURS.values() for v in s.get("volumes", []) if not v.startswith("./")}
    assert targets == set(folders[1].split())


def test_only_envoy_is_reached_from_outside_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"envoy": ["127.0.0.1:10000:10000"]}
    assert all(COMPOSE["networks"][name].get("internal") for name in ("store", "link", "models"))
    to_model = {name for name, service in SERVICES.items() if "models" in service.get("networks", [])}
    assert to_model == {"envoy", "model"}
    to_databases = {name for name, service in SERVICES.items() if "store" in service.get("networks", [])}
    assert to_databases == {"database", "keys", "migrate", "authz"}


def test_an_edited_configuration_is_the_one_that_a_reload_reads() -> None:
    """A mounted file is its inode: what an editor puts in its place is never seen inside."""
    sources = {v.split(":")[0] for service in SERVICES.values() for v in service.get("volumes", [])}
    assert all((ROOT / source).is_dir() for source in sources if source.startswith("./"))


def test_every_certificate_that_metrics_and_doctor_judge_lies_where_they_look() -> None:
    mounted = [volume.split(":")[1] for volume in SERVICES["authz"]["volumes"]]
    shown = certificates_of(load_config(ROOT / "compose" / "authz.yaml").config)
    assert shown
    assert all(any(str(each.file).startswith(f"{target}/") for target in mounted) for each in shown)


def test_the_service_is_stopped_before_envoy_so_that_what_is_under_way_gets_its_answer() -> None:
    """Dependents are stopped first."""
    assert "envoy" in SERVICES["authz"]["depends_on"]
    assert "authz" not in SERVICES["envoy"]["depends_on"]
    grace = int(SERVICES["authz"]["stop_grace_period"].removesuffix("s"))
    drain = serve.make_context("serve", []).params["drain"]
    assert grace > 2 * drain, "the workers, then the keeper"
    assert SERVICES["authz"]["stop_signal"] == "SIGUSR1", "nobody is asked next: Envoy stops too"


def test_certificates_are_made_anew_before_they_end() -> None:
    for name in ("certificates", "gateway-certificate"):
        words = SERVICES[name]["command"]
        assert int(words[words.index("--renew") + 1]) >= 14, "doctor warns from two weeks before"


def test_whatever_goes_on_running_is_looked_after() -> None:
    for name in ("database", "keys", "authz", "envoy", "model"):
        assert "healthcheck" in SERVICES[name], name
    for name in ("database", "keys"):  # while the database is made, a server answers on the socket alone
        words = SERVICES[name]["healthcheck"]["test"]
        assert words[words.index("-h") + 1] == "127.0.0.1"
    for name, service in OURS.items():
        for words in [service.get("healthcheck", {}).get("test", [])]:
            if words:
                compile(words[-1], name, "exec")


def test_the_configuration_serves_as_many_workers_as_are_started(tmp_path: Path) -> None:
    assert {words[words.index("--workers") + 1] for words in authz_commands() if "--workers" in words} == {
        str(WORKERS)
    }
    config, data = load_config(local(tmp_path)).config, DataDir.open(tmp_path / "data")
    require_possible(config, data, WORKERS)
    write_certificates(config, data)
    rendered = render(template_text(), envoy_settings(config, data, workers=WORKERS))
    assert validate(rendered, insecure=False) == []
    clusters = YAML(typ="safe").load(rendered)["static_resources"]["clusters"]
    (service,) = [cluster for cluster in clusters if cluster["name"] == "authz_service"]
    endpoints = service["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ports = [e["endpoint"]["address"]["socket_address"]["port_value"] for e in endpoints]
    assert ports == [9443, 9444]
    assert service["transport_socket"]["name"]


def test_the_image_has_the_versions_that_were_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.run.lock") < pins("requirements.lock")
    assert not {pin for pin in pins("requirements.run.lock") if pin.startswith(("pytest", "mypy", "openai"))}
    # pip refuses two versions of one package, so extras go with the rest, and with each other.
    extras = {path.name.split(".")[2] for path in ROOT.glob("requirements.run.*.lock")}
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras == set(known) - {"dev", "keyring"}, "make lock has IMAGE_EXTRAS; a container has no keyring"
    every = set[str]()
    for extra in extras:
        with_it = pins(f"requirements.run.{extra}.lock")
        assert with_it > pins("requirements.run.lock")
        every |= with_it
        wanted = {re.split("[<>=]", name)[0] for name in known[extra]}
        assert wanted <= {pin.partition("==")[0] for pin in with_it}
    names = [pin.partition("==")[0] for pin in every]
    assert len(names) == len(set(names))


def test_the_image_has_the_bytecode_of_what_it_installs() -> None:
    """Or each process of it would compile everything at its start: nothing writes it later."""
    assert "--no-compile" not in DOCKERFILE
    assert DOCKERFILE.index("PYTHONDONTWRITEBYTECODE") > DOCKERFILE.rindex("pip install")
