# `make run` and `make test` set up what they need; see README.md for the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# What the image can have beside the service itself: docker build --build-arg EXTRAS="saml s3"
IMAGE_EXTRAS := s3 saml presidio
GENERATED_FROM := hatch_build.py $(wildcard protos/*/*.proto protos/*/*/*.proto)

.PHONY: setup run test check format lock bench bench-peers bench-sessions bench-holds bench-sizes soak clean e2e-llama e2e-oidc e2e-saml e2e-oip e2e-presidio e2e-s3 e2e-tlog e2e-har e2e-frameworks image-check alerts-check

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock $(GENERATED_FROM)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "authz needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): first the locked dependencies, then this package (about a minute)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup
	@exec $(BIN)/authz up --data-dir data

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Resolves pyproject.toml anew for every platform and Python that we support.
lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --extra dev --python-version 3.11 --no-annotate --no-header --no-emit-index-url -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --no-emit-index-url -c requirements.lock -o requirements.run.lock pyproject.toml
	for extra in $(IMAGE_EXTRAS); do $(BIN)/uv pip compile --quiet --universal --generate-hashes --extra $$extra --python-version 3.11 --no-annotate --no-header --no-emit-index-url -c requirements.lock -c requirements.run.lock -o requirements.run.$$extra.lock pyproject.toml || exit 1; done

# With a choice of its own in BENCH_ARGS only that is measured.
bench: setup
	$(BIN)/python -m bench $(BENCH_ARGS)
	$(if $(filter-out --quick,$(BENCH_ARGS)),,$(MAKE) bench-holds BENCH_ARGS="$(if $(BENCH_ARGS),--holds 40 --one-by-one 3)")

# The same beside other gateways and detectors, each in an environment of its own under build/peers (1.2 GB, once).
bench-peers: setup
	$(BIN)/python -m bench --peers $(BENCH_ARGS)

# Lists, searches and pages in a store of a million sessions, on both databases; the stores stay there.
bench-sessions: setup
	$(BIN)/python -m bench.sessions --folder build/sessions $(BENCH_ARGS)

# Thousands of requests sent at once, held, and released together: on SQLite, by two workers on PostgreSQL, and by
# two services with addresses of their own. 1,025 are one more than Envoy's circuit breakers let through by default.
bench-holds: setup
	$(BIN)/python -m bench.holds $(BENCH_ARGS)
	$(BIN)/python -m bench.holds --holds 1025 $(BENCH_ARGS)
	$(BIN)/python -m bench.holds --workers 2 $(BENCH_ARGS)
	$(BIN)/python -m bench.holds --hosts $(BENCH_ARGS)

# Prompts and answers of up to 8 MiB, and small requests beside them.
bench-sizes: setup
	$(BIN)/python -m bench.sizes $(BENCH_ARGS)

soak: setup
	$(BIN)/python tests/fuzz/setup_fuzz.py
	$(BIN)/python -m pytest -m soak --timeout 0 -s tests/soak tests/fuzz $(SOAK_ARGS)

# The SDK's main flows through a real llama.cpp server; builds it first (4 to 10 minutes, once).
e2e-llama: setup
	$(BIN)/python tests/llama/setup_llama.py
	$(BIN)/python -m pytest -m llama tests/llama $(PYTEST_ARGS)

# LangChain and LlamaIndex through the gateway, in an environment of their own (280 MB, once). What they leave open
# until the process ends is theirs.
e2e-frameworks: setup
	$(BIN)/python -m tests.frameworks.setup_frameworks
	build/frameworks/env/bin/python -m pytest -m frameworks -W ignore::ResourceWarning \
	  -W ignore::pytest.PytestUnraisableExceptionWarning tests/frameworks $(PYTEST_ARGS)

# The Open Inference Protocol to a real MLServer, in an environment of its own (230 MB, once).
e2e-oip: setup
	$(BIN)/python -m tests.oip.setup_oip
	$(BIN)/python -m pytest -m oip tests/oip $(PYTEST_ARGS)

# Presidio's own recognisers on requests, in an environment of its own (300 MB, once).
e2e-presidio: setup
	$(BIN)/python -m tests.presidio.setup_presidio
	build/presidio/env/bin/python -m pytest -m presidio tests/presidio $(PYTEST_ARGS)

# Checkpoints to moto's server of S3, with object lock and without, in an environment of its own (80 MB, once).
e2e-s3: setup
	$(BIN)/python -m tests.s3.setup_moto
	$(BIN)/python -m pytest -m s3 tests/s3 $(PYTEST_ARGS)

# An export of the record, read by the packages that Go's checksum database is read with, and by tlog-scales, in an
# environment of their own (0.3 GB, once).
e2e-tlog: setup
	$(BIN)/python -m tests.tlog.setup_tlog
	$(BIN)/python -m pytest -m tlog tests/tlog $(PYTEST_ARGS)

# An export of sessions in the network panel of a real Chromium (Qt WebEngine), in an environment of its own
# (700 MB, once).
e2e-har: setup
	$(BIN)/python -m tests.browser.setup_browser
	$(BIN)/python -m pytest -m browser tests/browser $(PYTEST_ARGS)

# Tokens of a real OpenID provider, in its flows; needs Node.js, and installs the provider first.
e2e-oidc: setup
	$(BIN)/python tests/oidc/setup_provider.py
	$(BIN)/python -m pytest -m oidc tests/oidc $(PYTEST_ARGS)

# Logins at a real SAML provider; needs Node.js, and installs the provider first.
e2e-saml: setup
	$(BIN)/python tests/saml/setup_provider.py
	$(BIN)/python -m pytest -m saml tests/saml $(PYTEST_ARGS)

# The Dockerfile's steps without an engine, in a plain Debian made by debootstrap; as root (1.2 GB, minutes).
image-check: setup
	$(BIN)/python -m tests.image.check_image

# The alerts by Prometheus' own tool; fetches Debian's package of it where there is none (19 MB, once).
alerts-check: setup
	$(BIN)/python -m tests.alerts.check_alerts

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
