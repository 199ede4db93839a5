"""The way in: the text of authz.yaml to a configuration and a policy, or all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authz_service.config import scalars
from authz_service.config.approvals import read_approvals
from authz_service.config.conditions import ConditionReader
from authz_service.config.faults import BadConfiguration, Report
from authz_service.config.gateway import read_listen, read_models, read_store
from authz_service.config.holds import read_holds
from authz_service.config.identity_values import Identity
from authz_service.config.issuers import read_identity
from authz_service.config.limits import read_limits
from authz_service.config.link import read_link
from authz_service.config.login import read_logins
from authz_service.config.masks import OptionsCheck, PatternCheck, read_detectors, read_masks
from authz_service.config.model import Config, PathRule
from authz_service.config.notify import read_notify
from authz_service.config.people import read_review
from authz_service.config.policy_document import policy_document
from authz_service.config.record import read_record
from authz_service.config.roles import FileRoles
from authz_service.config.rules import read_paths, read_rules
from authz_service.config.section import Refused, as_section
from authz_service.config.tree import Node, read_tree
from authz_service.policy.compiled import CompiledPolicy, RuleSet
from authz_service.policy.conditions import Compiler, Condition, PathFacts, Phase
from authz_service.policy.decision import Effect
from authz_service.policy.digest import policy_digest
from authz_service.policy.rules import Rule

VERSION: Final = 1

MakeCompiler = Callable[[frozenset[str], frozenset[str]], Compiler]
"""Makes a compiler for these entity types and these claims that groups come from."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file may refer to, as the rest of the program provides it.

    `entities` are the built-in detectors' names, `owned_paths` those that model APIs read (lower case),
    `noise_roots` the keys of a body under which noise may be named, `has_zone` knows the time zones.
    """

    compiler: MakeCompiler
    entities: frozenset[str]
    check_pattern: PatternCheck
    check_options: OptionsCheck
    has_zone: Callable[[str], bool]
    noise_roots: frozenset[str] = frozenset()
    owned_paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole file, valid: its values, its rules compiled, who may review, and the text itself."""

    config: Config
    policy: CompiledPolicy
    roles: FileRoles
    text: str

    @property
    def digest(self) -> str:
        """The digest of the policy."""
        return self.policy.digest


def read_config(text: str, *, source: Path, surroundings: Surroundings) -> Loaded:
    """Read a whole file; raises `BadConfiguration` with every fault and its line.

    Paths in the file are relative to the directory of `source`; nothing is opened here.
    """
    report = Report()
    tree = read_tree(text, report)
    loaded = None if tree is None else _read_root(tree, text, source.parent, surroundings, report)
    if report.faults or loaded is None:
        raise BadConfiguration(str(source), report.faults)
    return loaded


def _read_root(
    tree: Node, text: str, base: Path, surroundings: Surroundings, report: Report
) -> Loaded | None:
    try:
        root = as_section(tree, "", report)
    except Refused as refused:
        report.add(tree.place, f"the file {refused.message}")
        return None
    root.required("version", _version, VERSION)
    identity = read_identity(root, base)
    detectors, options, presidio = read_detectors(
        root, surroundings.entities, surroundings.check_pattern, surroundings.check_options
    )
    whole_only = frozenset(detector.name for detector in presidio if detector.name)
    entities = surroundings.entities | {detector.name for detector in detectors if detector.name} | whole_only
    several = len(identity.issuers) + len(identity.saml) + (identity.embedded and identity.embedded_votes) > 1
    compiler = surroundings.compiler(entities, _group_claims(identity))
    conditions = ConditionReader(compiler, tuple(text.splitlines()), several, whole_only)
    review, roles = read_review(root, conditions, identity, entities)
    models = read_models(root, base)
    approvals = read_approvals(root, conditions, surroundings.has_zone)
    request_default, request_rules = read_rules(root, Phase.REQUESTS, conditions, approvals.keys())
    answer_default, answer_rules = read_rules(root, Phase.ANSWERS, conditions, approvals.keys())
    paths, path_conditions = read_paths(root, conditions, models, surroundings.owned_paths)
    config = Config(
        listen=read_listen(root, base, has_certificates=identity.certificates is not None),
        models=models,
        identity=identity,
        review=review,
        masks=read_masks(root, entities, whole_only),
        detectors=detectors,
        paths=paths,
        holds=read_holds(root, surroundings.noise_roots),
        approvals=tuple(approval for approval in approvals.values() if approval is not None),
        limits=read_limits(root, models),
        store_url=read_store(root),
        record=read_record(root, base),
        detector_options=options,
        presidio=presidio,
        link=read_link(root, base),
        logins=read_logins(root, identity, base, review_audience=review.audience),
        notify=read_notify(root, base),
    )
    root.close()
    if report.faults or roles is None:
        return None
    requests = RuleSet(request_rules, compiler.requests(_conditions(request_rules)), request_default)
    answers = RuleSet(answer_rules, compiler.answers(_conditions(answer_rules)), answer_default)
    policy = CompiledPolicy(
        policy_digest(policy_document(config, requests, answers)),
        requests,
        answers,
        _path_sets(compiler, paths, path_conditions),
    )
    return Loaded(config, policy, FileRoles(compiler, roles, has_several_issuers=several), text)


def _version(node: Node) -> int:
    found = scalars.whole_number(0, 10**9)(node)
    if found != VERSION:
        raise Refused(f"this program reads version {VERSION}, found {found}")
    return found


def _group_claims(identity: Identity) -> frozenset[str]:
    return frozenset({"groups", *(issuer.groups[0] for issuer in identity.issuers)})


def _conditions(rules: Sequence[Rule]) -> list[Condition]:
    return [rule.condition for rule in rules]


def _path_sets(
    compiler: Compiler, paths: Sequence[PathRule], conditions: Sequence[Condition]
) -> Mapping[tuple[str, str], RuleSet[PathFacts]]:
    return {
        (path.method, path.path): RuleSet(
            (Rule(f"{path.method} {path.path}", condition, Effect.ALLOW),),
            compiler.paths([condition]),
            Effect.DENY,
        )
        for path, condition in zip(paths, conditions, strict=True)
    }
