# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY egress egress
COPY pipelines pipelines
RUN python -m venv /opt/egress && /opt/egress/bin/pip install --no-cache-dir '.[azure,postgresql]'

FROM python:3.12-slim-bookworm
# ffmpeg sends SRT, and makes what needs another codec once a job has ended: WebM, MP3. It comes as Debian has it on the
# day of the build, with what was mended: versions that are named here would be gone from its mirrors with the next one.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/egress --create-home egress \
    && mkdir /media && chown egress /media
COPY --from=build /opt/egress /opt/egress
ENV PATH=/opt/egress/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EGRESS_SPOOL=/var/lib/egress/spool \
    EGRESS_LISTEN=0.0.0.0:8080
USER 10001
WORKDIR /media
VOLUME ["/var/lib/egress", "/media"]
EXPOSE 8080
# Of the service; `egress record` and the like are watched by whoever runs them (docker run --no-healthcheck).
# The address is the one the container listens at, whatever EGRESS_LISTEN was changed to.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['EGRESS_LISTEN'].rpartition(':')[2] + '/healthz', timeout=4)"]
# SIGINT ends jobs and finishes what they made (docker stop --time 60); SIGTERM waits for them first.
STOPSIGNAL SIGINT
ENTRYPOINT ["egress"]
CMD ["serve"]
