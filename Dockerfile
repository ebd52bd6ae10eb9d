# The worker as an image. CPU and CUDA differ in where torch comes from, and in nothing else: docs/docker.md.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
# Where torch is looked for; empty: the registry's default, which on Linux is the build for CUDA.
ARG TORCH_INDEX_URL=""
# Extras of the package, separated by commas: s3, mlflow.
ARG EXTRAS=""
# As pip knows them, for builds without a registry.
ARG PIP_FIND_LINKS=""
ARG PIP_CONSTRAINT=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
# For the extension in stream_infer/transport/_rows.c; the base brings Python's headers.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/stream-infer
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY schemas ./schemas
COPY stream_infer ./stream_infer
RUN /opt/stream-infer/bin/pip wheel --quiet --no-deps --wheel-dir /wheels .
RUN if [ -n "${TORCH_INDEX_URL}" ]; then /opt/stream-infer/bin/pip install --quiet --index-url "${TORCH_INDEX_URL}" torch; fi \
    && wheel="$(ls /wheels/*.whl)" \
    && /opt/stream-infer/bin/pip install --quiet "${wheel}${EXTRAS:+[${EXTRAS}]}" \
    && /opt/stream-infer/bin/pip uninstall --quiet --yes pip

FROM ${BASE}
ARG VERSION=""
LABEL org.opencontainers.image.title="stream-infer" \
      org.opencontainers.image.description="Puts a PyTorch model on a Kafka stream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The base image pins the release of Debian, and with it these; a version here would break with its next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 worker \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin worker
COPY --from=build /opt/stream-infer /opt/stream-infer
# Whoever gives a GPU to the container finds it; without one these say nothing. The address is here because the health
# check asks there; it wins over a settings file, so the chart sets both variables too.
ENV PATH=/opt/stream-infer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    STREAM_INFER_WEB__HOST=0.0.0.0 \
    STREAM_INFER_WEB__PORT=6066
USER 10001:10001
WORKDIR /tmp
EXPOSE 6066
STOPSIGNAL SIGTERM
# Liveness, not readiness: a worker that waits for a broker is well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['STREAM_INFER_WEB__PORT'] + '/health', timeout=4)"]
ENTRYPOINT ["tini", "--", "stream-infer"]
CMD ["worker"]
