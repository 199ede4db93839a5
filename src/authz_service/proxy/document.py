"""Reads an Envoy file so that we see what Envoy sees: plain YAML, in which nothing has two readings."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, ScalarEvent, StreamEndEvent

from authz_service.proxy.faults import Fault, Path

_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
LARGEST = 4 * 1024 * 1024  # characters


def read_document(text: str) -> tuple[Any, list[Fault]]:
    """The document, with the lines of its parts, or the faults for which it cannot be read.

    Tags, anchors and aliases are refused: Envoy skips what is tagged `!ignore`, and an alias makes
    one edit change two places. Duplicate keys are refused, since readers differ in which one counts.
    """
    if len(text) > LARGEST:
        return None, [Fault("not_yaml", (), f"more than {LARGEST} characters")]
    if odd := _ODD.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        return None, [Fault("not_yaml", (), "a character that ends lines for some readers only", line)]
    try:
        faults = _ambiguities(text)
        document = YAML(typ="rt").load(text)
    except YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, MarkedYAMLError) and error.problem_mark else 0
        problem = error.problem if isinstance(error, MarkedYAMLError) else "this is not YAML"
        return None, [Fault("not_yaml", (), str(problem), line)]
    except (ValueError, RecursionError):
        return None, [Fault("not_yaml", (), "a value that cannot be read, or nested too deeply")]
    if not faults and not isinstance(document, CommentedMap):
        faults = [Fault("not_yaml", (), "an Envoy configuration is a mapping")]
    return document, faults


def line_of(document: Any, path: Path) -> int:
    """The line on which the part at `path`, or the nearest one around it, begins."""
    line, node = 0, document
    for part in path:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.key(part)[0] + 1
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(part)[0] + 1
            node = node[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _ambiguities(text: str) -> list[Fault]:
    faults = []
    documents = 0
    for event in YAML(typ="rt").parse(io.StringIO(text)):
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if event.version or event.tags:
                faults.append(Fault("yaml_tag", (), "YAML directives are not read here", line))
        elif isinstance(event, StreamEndEvent) and documents != 1:
            faults.append(Fault("not_yaml", (), f"expected one document, got {documents}", line))
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            faults.append(Fault("yaml_alias", (), "anchors and aliases are not read here", line))
        if getattr(event, "tag", None):
            faults.append(Fault("yaml_tag", (), "Envoy skips or converts what is tagged", line))
        if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
            faults.append(Fault("yaml_alias", (), "merge keys are not read here", line))
    return faults
