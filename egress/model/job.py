"""A job: which room, when, and how it went. One transition table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from egress.model.errors import Blame
from egress.model.media import Nanos


class JobState(StrEnum):
    """Where a job stands."""

    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"


ENDED = frozenset({JobState.FINISHED, JobState.FAILED, JobState.ABORTED})

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.RECOVERING, JobState.STOPPING, JobState.FAILED, JobState.ABORTED}
    ),
    JobState.RUNNING: frozenset({JobState.RECOVERING, JobState.STOPPING, JobState.FAILED}),
    JobState.RECOVERING: frozenset({JobState.RUNNING, JobState.STOPPING, *ENDED}),
    JobState.STOPPING: frozenset({JobState.RECOVERING, *ENDED}),
    JobState.FINISHED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.ABORTED: frozenset(),
}
"""Recovering is a job without its worker: one that died, or ended while nobody watched. It goes on, or is finished."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing a job made: `location` is a path or URL; `duration` is of the media, in ns."""

    kind: str
    location: str
    size: int = 0
    duration: Nanos = 0
    sha256: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A step in a job's life; `blame` and `reason` say why it failed or ended."""

    state: JobState
    reason: str = ""
    blame: Blame | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One visit of the bot to one room, made into media by one pipeline."""

    id: str
    room: str
    pipeline: str
    state: JobState = JobState.STARTING
    reason: str = ""
    blame: Blame | None = None
    artifacts: tuple[Artifact, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to this job."""
        return self.state in ENDED

    def after(self, event: JobEvent) -> Job:
        """The job once `event` has happened; an event the table does not allow changes nothing."""
        if event.state not in TRANSITIONS[self.state]:
            return self
        return replace(
            self,
            state=event.state,
            reason=event.reason or self.reason,
            blame=event.blame or self.blame,
            artifacts=self.artifacts + event.artifacts,
        )
