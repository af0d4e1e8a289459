"""The tables of the store. Times are microseconds in UTC, JSON is canonical text, what is sealed is encrypted whole."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_one_%(column_0_N_name)s",
        "fk": "%(table_name)s_of_%(column_0_name)s",
        "pk": "%(table_name)s_key",
    }
)

_COUNTED = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts only in columns of exactly this type."""


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _of(name: str, target: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey(target, ondelete="CASCADE"), nullable=null)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    _text("room"),
    _text("room_name"),
    _text("template", null=True),
    _text("pipeline"),
    _text("state"),
    _text("desired"),
    _text("reason"),
    _text("blame", null=True),
    _number("attempts"),
    _number("cost_milli"),
    _text("server", null=True),
    _number("created"),
    _number("moved"),
    _number("started", null=True),
    _number("ended", null=True),
    _number("duration_ns"),
    _text("schedule", null=True),
    _number("fire_at", null=True),
    _text("trigger", null=True),
    _text("caller"),
    _text("unique_room", null=True),
    _text("metadata"),
    _text("live", null=True),
    _text("figures", null=True),
    UniqueConstraint("unique_room"),
    Index(None, "created", "id"),
    Index(None, "state", "created", "id"),
    Index(None, "room", "created", "id"),
    Index(None, "room_name", "created", "id"),
    Index(None, "template", "created", "id"),
    Index(None, "pipeline", "created", "id"),
    Index(None, "schedule", "created"),
    Index(None, "server", "state"),
)
"""`moved` is when a job came into its state; `unique_room` is what no other job may have while this one lives."""

job_requests = Table(
    "job_requests",
    metadata,
    Column("job", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    _text("request"),
    _text("sealed"),
)
"""Beside `jobs`, whose rows are written every second: what was asked for as it may be shown, and sealed whole."""

job_events = Table(
    "job_events",
    metadata,
    Column("seq", _COUNTED, primary_key=True, autoincrement=True),
    _text("id"),
    _of("job", "jobs.id", null=True),
    _number("at"),
    _text("type"),
    _text("body"),
    UniqueConstraint("id"),
    Index(None, "job", "seq"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Text, primary_key=True),
    _of("job", "jobs.id"),
    _text("kind"),
    _text("location"),
    _number("size"),
    _number("duration_ns"),
    _text("sha256"),
    _text("details"),
    _number("created"),
    UniqueConstraint("job", "kind", "location"),
    Index(None, "created", "id"),
    Index(None, "kind", "created", "id"),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("name", Text, primary_key=True),
    _text("about"),
    _text("sealed"),
    _number("created"),
    _number("updated"),
    _number("version"),
)

templates = Table(
    "templates",
    metadata,
    Column("name", Text, primary_key=True),
    _text("document"),
    _text("sealed"),
    _number("enabled"),
    _number("created"),
    _number("updated"),
    _number("version"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("document"),
    _text("sealed"),
    _number("paused"),
    _number("next_at", null=True),
    _number("created"),
    _number("updated"),
    _number("version"),
    Index(None, "paused", "next_at"),
    Index(None, "created", "id"),
)

occurrences = Table(
    "occurrences",
    metadata,
    _of("schedule", "schedules.id"),
    _number("fire_at"),
    _text("state"),
    _text("job", null=True),
    _text("note"),
    _number("at"),
    _text("server", null=True),
    PrimaryKeyConstraint("schedule", "fire_at"),
    Index(None, "state", "at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    _text("url"),
    _text("sealed"),
    _text("events"),
    _text("mode"),
    _number("enabled"),
    _text("note"),
    _number("created"),
    _number("updated"),
    Index(None, "created", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    _of("webhook", "webhooks.id"),
    _text("event_id"),
    _text("type"),
    _text("job", null=True),
    _text("body"),
    _number("created"),
    _number("next_at"),
    _number("attempts"),
    _text("state"),
    _number("status", null=True),
    _text("error"),
    _number("delivered_at", null=True),
    _number("lease_until"),
    _text("lease_owner", null=True),
    UniqueConstraint("webhook", "event_id"),
    Index(None, "state", "next_at"),
    Index(None, "webhook", "created", "id"),
    Index(None, "created", "id"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("prefix"),
    _text("hash"),
    _text("scopes"),
    _text("rooms"),
    _number("created"),
    _number("expires", null=True),
    _number("revoked", null=True),
    _number("used", null=True),
    UniqueConstraint("prefix"),
)

idempotency = Table(
    "idempotency",
    metadata,
    _text("caller"),
    _text("key"),
    _text("request_hash"),
    _of("job", "jobs.id"),
    _number("created"),
    PrimaryKeyConstraint("caller", "key"),
    Index(None, "created"),
    Index(None, "job"),
)

triggers_seen = Table(
    "triggers_seen",
    metadata,
    _text("source"),
    _text("event_id"),
    _number("at"),
    _text("job", null=True),
    _text("note"),
    PrimaryKeyConstraint("source", "event_id"),
    Index(None, "at"),
)

servers = Table(
    "servers",
    metadata,
    Column("id", Text, primary_key=True),
    _text("name"),
    _text("url"),
    _text("spool"),
    _number("capacity_milli"),
    _number("draining"),
    _number("started"),
    _number("heartbeat"),
    _text("advertised", null=True),
)

errands = Table(
    "errands",
    metadata,
    Column("id", Text, primary_key=True),
    _of("job", "jobs.id"),
    _text("server"),
    _text("sealed"),
    _number("taken"),
    _number("until"),
    _text("answer", null=True),
    Index(None, "server", "taken"),
    Index(None, "job"),
)
"""Commands to jobs, for the server that holds each; `answer` is sealed as well. Whoever asked takes them away."""

facts = Table("facts", metadata, Column("name", Text, primary_key=True), _text("value"))
"""What the store knows about itself, like a text by which it tells the right secret key."""
