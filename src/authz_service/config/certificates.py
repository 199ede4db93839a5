"""Services that show a client certificate: who signed it, and what each may ask for."""

from __future__ import annotations

from pathlib import Path

from authz_service.config import scalars
from authz_service.config.gateway import file_path
from authz_service.config.identity_values import CertificateService, ClientCertificates
from authz_service.config.section import Refused, Section
from authz_service.config.tree import Node
from authz_service.view.scope import is_word


def read_certificates(identity: Section, base: Path) -> ClientCertificates | None:
    """`identity.certificates`: only who is listed by name is anybody."""
    section = identity.section("certificates")
    if section is None:
        return None
    authority = section.required("authority", file_path(base), base)
    yields = section.optional("with_token", scalars.one_of({"refuse": False, "token": True}), False)
    services = tuple(_read_service(item) for item in section.sections("services", at_least_one=True))
    names = [service.name for service in services if service.name]
    if len(set(names)) != len(names):
        section.refuse_value("services", "two services have the same name")
    section.close()
    return ClientCertificates(authority, services, yields)


def _read_service(section: Section) -> CertificateService:
    service = CertificateService(
        name=section.required("name", scalars.line, ""),
        owner=section.required("owner", scalars.line, ""),
        scope=section.required("scope", scalars.list_of(_word), ()),
        groups=section.optional("groups", scalars.list_of(scalars.line), ()),
    )
    section.close()
    return service


def _word(node: Node) -> str:
    value = scalars.line(node)
    if not is_word(value):
        raise Refused("must be model:NAME, api:NAME or path:PATH, * for all")
    return value
