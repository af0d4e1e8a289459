import pytest

from egress.model.errors import Blame
from egress.model.job import ENDED, TRANSITIONS, Artifact, Job, JobEvent, JobState


def test_every_state_has_a_row_and_ended_states_lead_nowhere():
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state, following in TRANSITIONS.items() if not following} == ENDED


def test_a_job_runs_its_course():
    job = Job("j1", "local:standup", "record-grid")
    artifact = Artifact("mp4", "/out/a.mp4", 10)
    for event in (
        JobEvent(JobState.RUNNING),
        JobEvent(JobState.STOPPING, "asked"),
        JobEvent(JobState.FINISHED, artifacts=(artifact,)),
    ):
        job = job.after(event)
    assert job.ended and job.reason == "asked" and job.artifacts == (artifact,)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_job_stays_ended(state):
    job = Job("j1", "local:standup", "record-grid", state=state)
    assert job.after(JobEvent(JobState.RUNNING)) == job


def test_a_failure_keeps_its_blame():
    job = Job("j1", "r", "p").after(JobEvent(JobState.FAILED, "refused", Blame.ROOM))
    assert (job.state, job.blame) == (JobState.FAILED, Blame.ROOM)
