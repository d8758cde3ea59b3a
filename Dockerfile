# The command `toloka-source` as an image; docs/guides/container.md says how to use it.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md ./
COPY toloka_source toloka_source
RUN python -m venv /opt/toloka
RUN /opt/toloka/bin/pip install --no-cache-dir '.[postgres]'

FROM python:3.13-slim
COPY --from=build /opt/toloka /opt/toloka
ENV PATH=/opt/toloka/bin:$PATH \
    RUNTIME__DLTHUB_TELEMETRY=false
# a number, so that Kubernetes can see that it isn't root; DuckDB's file and dlt's folder go into its home
RUN useradd --uid 10001 --create-home --home-dir /data toloka
USER 10001
ENV HOME=/data
WORKDIR /data
ENTRYPOINT ["toloka-source"]
CMD ["--help"]
