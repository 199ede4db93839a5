"""Run by Presidio's own Python: how fast its pattern recognisers read a text, in MB for a second of CPU.

`python detect_presidio.py FILE SECONDS`; prints the figure. Those are the recognisers that it has for English
without a model, 17 entity types.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any


def main() -> None:
    text, seconds = Path(sys.argv[1]).read_text(), float(sys.argv[2])
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    suffixes: Any = importlib.import_module("tldextract.tldextract")
    suffixes.TLD_EXTRACTOR = suffixes.TLDExtract(
        suffix_list_urls=(), cache_dir=None
    )  # else it asks the network
    presidio = importlib.import_module("presidio_analyzer")
    engines = importlib.import_module("presidio_analyzer.nlp_engine")
    nlp = engines.NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    nlp.load()
    registry = presidio.RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    engine = presidio.AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
    assert engine.analyze("It is jane@example.com.", language="en")
    began = time.process_time()
    calls = 0
    while not calls or time.process_time() - began < seconds:
        engine.analyze(text, language="en")
        calls += 1
    print(calls * len(text) / 1e6 / (time.process_time() - began))


main()
