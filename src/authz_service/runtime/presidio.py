"""Presidio's recognisers beside our own detectors, over the whole texts of requests; an optional extra.

They are slow (a millisecond and more for each text), know no streams, and may fail: then the request does.
"""

from __future__ import annotations

import importlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from authz_service.config.masking_values import PresidioDetector
from authz_service.errors import Misconfigured, Unavailable, Unreadable
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Scanner
from authz_service.masking.whole_texts import WholeTexts

LONGEST: Final = 100_000
"""Characters of one text; spaCy itself takes ten times as many, and seconds for them."""

PATTERN_SECONDS: Final = 5
"""What one of its patterns, which may backtrack, gets for one text."""

NO_MODEL: Final = "none"

_Analyse = Callable[[str], Iterable[Finding]]


def with_presidio(scanner: Scanner, detectors: Sequence[PresidioDetector]) -> Scanner:
    """A scanner of whole texts that finds what `scanner` does, and what Presidio does for `detectors`.

    Its scans raise `Unreadable` (413) for a text that is too long, `Unavailable` when Presidio fails. Raises
    `Misconfigured` where Presidio, a model or an entity type is not there.
    """
    languages = {(detector.language, detector.model) for detector in detectors}
    analysts = [
        _analyst(_engine(*language), [d for d in detectors if (d.language, d.model) == language])
        for language in sorted(languages)
    ]

    def analyse(text: str) -> Iterable[Finding]:
        yield from scanner.scan(text)
        for analyst in analysts:
            yield from analyst(text)

    return WholeTexts(scanner.entities | {detector.name for detector in detectors}, analyse)


def _analyst(engine: Any, detectors: Sequence[PresidioDetector]) -> _Analyse:
    language = detectors[0].language
    thresholds = {detector.name: detector.threshold for detector in detectors}
    known = set(engine.get_supported_entities(language))
    if unknown := sorted(thresholds.keys() - known):
        message = (
            f"{unknown[0]}: Presidio finds no such entity type here; for {language}, "
            f"model {detectors[0].model}, it finds {', '.join(sorted(known))}"
        )
        raise Misconfigured(message, code="bad_detectors")

    def analyse(text: str) -> Iterable[Finding]:
        if len(text) > LONGEST:
            message = f"A text has {len(text)} characters; names are looked for in {LONGEST} at most."
            raise Unreadable(message, code="text_too_long", status=413)
        _TIMEOUTS.begin()
        try:
            found = engine.analyze(
                text,
                language=language,
                entities=sorted(thresholds),
                score_threshold=min(thresholds.values()),
            )
        except (
            Exception
        ) as cause:  # whatever a recogniser or model of theirs raises: nobody has read the text
            raise _failed() from cause
        if _TIMEOUTS.seen():
            raise _failed()
        for result in found:
            if result.score >= thresholds[result.entity_type]:
                value = text[result.start : result.end]
                yield Finding(result.entity_type, result.start, result.end, value=value)

    return analyse


def _failed() -> Unavailable:
    return Unavailable("A detector failed, so nobody knows what the request says.", code="detector_failed")


@cache
def _engine(language: str, model: str) -> Any:
    """Presidio for one language, loaded; nothing is fetched from anywhere."""
    try:
        presidio: Any = importlib.import_module("presidio_analyzer")
        engines: Any = importlib.import_module("presidio_analyzer.nlp_engine")
        patterns: Any = importlib.import_module("presidio_analyzer.pattern_recognizer")
        suffixes: Any = importlib.import_module("tldextract.tldextract")
        spacy: Any = importlib.import_module("spacy")
    except ImportError as cause:
        message = "a detector has presidio, which is not installed: pip install 'authz-service[presidio]'"
        raise Misconfigured(message, code="bad_detectors") from cause
    if model != NO_MODEL and not spacy.util.is_package(model):
        # Presidio would download it.
        message = f"the model {model} is not installed: python -m spacy download {model}; or set model: none"
        raise Misconfigured(message, code="bad_detectors")
    patterns.REGEX_TIMEOUT_SECONDS = PATTERN_SECONDS
    # Its recogniser of URLs would fetch a list of suffixes; this uses the one that comes with the package.
    suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(suffix_list_urls=(), cache_dir=None)
    _TIMEOUTS.listen()
    try:
        return _loaded(presidio, engines, language, model)
    except (ValueError, KeyError, OSError) as cause:  # as it says that it does not know a language or a model
        message = f"Presidio cannot be loaded for {language} with the model {model}: {cause}"
        raise Misconfigured(message, code="bad_detectors") from cause


def _loaded(presidio: Any, engines: Any, language: str, model: str) -> Any:
    registry = presidio.RecognizerRegistry(supported_languages=[language])
    models = [{"lang_code": language, "model_name": model}]
    nlp = (engines.NoOpNlpEngine if model == NO_MODEL else engines.SpacyNlpEngine)(models=models)
    nlp.load()
    registry.load_predefined_recognizers(languages=[language], nlp_engine=nlp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that without a model context words count for nothing
        return presidio.AnalyzerEngine(
            registry=registry, nlp_engine=nlp, supported_languages=[language], log_decision_process=False
        )


class _Timeouts(logging.Filter):
    """Hears when Presidio gives up on a pattern: it skips that pattern, and only its log knows."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def listen(self) -> None:
        logger = logging.getLogger("presidio-analyzer")
        logger.addFilter(self)
        logger.setLevel(logging.WARNING)

    def begin(self) -> None:
        self._here.seen = False

    def seen(self) -> bool:
        return bool(self._here.seen)

    def filter(self, record: logging.LogRecord) -> bool:
        """Nothing of its goes to the log: what is warned of may quote a text."""
        if "timed out" in str(record.msg):
            self._here.seen = True
        return False


_TIMEOUTS = _Timeouts()
