"""Figures for Prometheus: the jobs of the database and of this server, its outputs, webhooks, and its own answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egress import __version__
from egress.control import deliveries, job_lists, occurrences
from egress.control.service import Service
from egress.control.values import micros

Admit = Callable[[Request], Awaitable[object]]

_LEVELS = 5
"""Of degradation: none, and the rungs of egress.media.strain."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """What `/metrics` says; no label names a job, a room or an address, so that their number stays bounded."""

    def __init__(self, service: Service, admit: Admit) -> None:
        """`admit` lets in who may read, or raises."""
        self._service = service
        self._admit = admit
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "egress_http_requests", "Requests answered", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "egress_http_seconds",
            "Seconds to the head of an answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    @property
    def route(self) -> Route:
        """Where Prometheus looks."""
        return Route("/metrics", self.answer)

    async def answer(self, request: Request) -> Response:
        """All figures as text."""
        await self._admit(request)
        jobs, told, fired = await self._service.store.read(_kept)
        families = [*_of_database(jobs, told, fired), *_of_server(self._service)]
        registry = CollectorRegistry()
        registry.register(_Given(families))
        body = generate_latest(registry) + generate_latest(self._registry)
        return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    def measured(self, app: ASGIApp) -> ASGIApp:
        """The app with its answers counted, by route and status."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            begun = time.perf_counter()

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = _route(scope)
                    self._requests.labels(route, str(message["status"])).inc()
                    self._seconds.labels(route).observe(time.perf_counter() - begun)
                await send(message)

            await app(scope, receive, noted)

        return counted


class _Given(Collector):
    """Families that are made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Give them."""
        return self._families


def _route(scope: Scope) -> str:
    """The pattern a request was for, never what stands in its place."""
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(path)
    first = scope["path"].split("/")[1]
    return f"/{first}/…" if first in ("live", "static", "dashboard", "whip") else "other"


def _kept(
    connection: Connection,
) -> tuple[Mapping[tuple[str, str | None], int], tuple[Mapping[str, int], int | None], Mapping[str, int]]:
    due = deliveries.next_due(connection)
    told = deliveries.counts(connection), due
    return job_lists.counts(connection), told, occurrences.counts(connection)


def _of_database(
    jobs: Mapping[tuple[str, str | None], int],
    told: tuple[Mapping[str, int], int | None],
    fired: Mapping[str, int],
) -> Iterable[Metric]:
    family = GaugeMetricFamily("egress_jobs", "Jobs by state and whose fault it was", labels=("state", "blame"))
    for (state, blame), number in jobs.items():
        family.add_metric((state, blame or ""), number)
    yield family
    family = GaugeMetricFamily("egress_webhook_deliveries", "Deliveries by state", labels=("state",))
    for state, number in told[0].items():
        family.add_metric((state,), number)
    yield family
    late = 0.0 if told[1] is None else max(0.0, (micros() - told[1]) / 1e6)
    yield _gauge("egress_webhook_lag_seconds", "How long the earliest delivery has been due", late)
    family = GaugeMetricFamily("egress_schedule_times", "Times of schedules by what became of them", labels=("state",))
    for state, number in fired.items():
        family.add_metric((state,), number)
    yield family


def _of_server(service: Service) -> Iterable[Metric]:
    followers = list(service.supervisor.followers.values())
    room = service.capacity
    info = GaugeMetricFamily("egress_server", "This server", labels=("version",))
    info.add_metric((__version__,), 1)
    yield info
    yield _gauge("egress_capacity_cores", "Cores there are for jobs", room.total / 1000)
    yield _gauge("egress_used_cores", "Cores that running jobs are expected to need", room.used / 1000)
    yield _gauge(
        "egress_load_cores", "Cores that running jobs were measured to use", sum(f.figures.load for f in followers)
    )
    yield _gauge("egress_draining", "1 while it takes no jobs", float(service.draining))
    yield _gauge("egress_running_jobs", "Jobs of this server", len(followers))
    shown = [follower.figures.shown for follower in followers]
    for name, about in (
        ("participants", "Participants in the rooms"),
        ("late", "Ticks too late to draw, of running jobs"),
        ("repeated", "Pictures repeated, of running jobs"),
        ("refused", "Pictures an encoder had no room for, of running jobs"),
        ("memory", "Bytes of memory of running jobs"),
    ):
        yield _gauge(f"egress_{name}", about, sum(float(figures.get(name) or 0) for figures in shown))
    family = GaugeMetricFamily(
        "egress_degraded_jobs", "Running jobs by how much quality they give up to keep up, 0 none", labels=("level",)
    )
    for level in range(_LEVELS):
        family.add_metric((str(level),), sum(int(figures.get("rung") or 0) == level for figures in shown))
    yield family
    yield from _of_sinks([sink for figures in shown for sink in figures.get("sinks", ())])
    sent = CounterMetricFamily("egress_webhooks_tried", "Tries of this server", labels=("result",))
    sent.add_metric(("delivered",), service.outbox.sent)
    sent.add_metric(("failed",), service.outbox.failed)
    yield sent


def _of_sinks(sinks: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
    states: dict[tuple[str, str], int] = {}
    waiting = retries = dropped = uploaded = failures = 0.0
    for sink in sinks:
        kind = str(sink.get("sink", "")).split(" ")[0]
        state = (kind, str(sink.get("state", "")))
        states[state] = states.get(state, 0) + 1
        waiting += float(sink.get("waiting") or 0)
        retries += float(sink.get("retries") or 0)
        lost = sink.get("dropped")
        dropped += sum(lost.values()) if isinstance(lost, Mapping) else float(lost or 0)
        uploaded += float(sink.get("uploaded") or 0)
        failures += float(sink.get("upload_failures") or 0)
    family = GaugeMetricFamily("egress_sinks", "Outputs of running jobs", labels=("kind", "state"))
    for labels, number in states.items():
        family.add_metric(labels, number)
    yield family
    yield _gauge("egress_sink_waiting_packets", "Packets that wait for outputs", waiting)
    yield _gauge("egress_destination_retries", "Times running jobs connected to destinations again", retries)
    yield _gauge("egress_destination_dropped", "Packets dropped for destinations that were too slow", dropped)
    yield _gauge("egress_uploaded_bytes", "Bytes of running jobs that stores have confirmed", uploaded)
    yield _gauge("egress_upload_failures", "Tries of uploads of running jobs that failed", failures)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)
