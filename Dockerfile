# One recipe for every service: docker build --build-arg SERVICE=gateway -t tollway-gateway .
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG SERVICE
ARG UV=0.13.9
# Nothing of a build's time or place is in its layers: byte code is valid by its source's hash, not by its date.
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_PROJECT_ENVIRONMENT=/opt/venv
RUN --mount=type=cache,target=/root/.cache pip install --quiet --root-user-action=ignore uv==${UV}
WORKDIR /build
COPY pyproject.toml uv.lock README.md ./
COPY sdk/pyproject.toml sdk/README.md sdk/
# Dependencies first: they change seldom, and their layer is kept while the code changes.
RUN --mount=type=cache,target=/root/.cache \
    uv sync --quiet --frozen --no-dev --no-install-workspace --extra ${SERVICE} --extra telemetry \
 && find /opt/venv -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
WORKDIR /app
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/${SERVICE} services/${SERVICE}
# Operators' Python tools are written with the published library.
COPY sdk/src sdk/src
RUN [ "${SERVICE}" = tools ] || rm -rf sdk
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM python:${PYTHON}-slim
ARG SERVICE
# The day a password was last changed is written down; it shall not be the day of the build.
ARG SOURCE_DATE_EPOCH=1767225600
# WeasyPrint draws with Pango; fonts for Latin and Chinese text. Only reports needs them. What serves installs nothing: no pip.
RUN if [ "${SERVICE}" = reports ]; then \
      apt-get update -qq && apt-get install -y -qq --no-install-recommends \
        libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fontconfig fonts-dejavu-core fonts-liberation fonts-wqy-microhei \
      && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache; fi \
 && find / -xdev -depth \( -path '*python3*/pip' -o -path '*python3*/pip-*' -o -path '*/bin/pip*' \) -exec rm -rf {} + \
 && groupadd --gid 10001 tollway && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin tollway \
 && install -d -o 10001 -g 10001 /data /etc/tollway
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app:/app/sdk/src:/etc/tollway \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TOLLWAY_HOST=0.0.0.0 \
    TOLLWAY_DATA=/data \
    TOLLWAY_LOG_FORMAT=json \
    TOLLWAY_SERVICE=${SERVICE}
WORKDIR /etc/tollway
USER 10001:10001
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=6 \
    CMD ["python", "-S", "-m", "shared.probe"]
# exec: the service itself is process 1 and hears SIGTERM.
ENTRYPOINT ["/bin/sh", "-c", "exec python -m services.${TOLLWAY_SERVICE} \"$@\"", "tollway"]
