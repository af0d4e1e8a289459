import pytest
from hypothesis import given
from hypothesis import strategies as st

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


STATES = st.sampled_from(JobState)


@given(st.lists(STATES, max_size=20))
def test_whatever_is_said_a_job_goes_only_where_the_table_leads(steps):
    job = Job("j", "r", "p")
    for step in steps:
        after = job.after(JobEvent(step))
        assert after.state in {job.state, *TRANSITIONS[job.state]}
        assert (after.state is step) == (step in TRANSITIONS[job.state]) or job.state is step
        assert not job.ended or after == job
        job = after


@given(STATES)
def test_every_job_can_come_to_each_end_that_is_left_to_it(state):
    reached, edge = {state}, {state}
    while edge := {after for one in edge for after in TRANSITIONS[one]} - reached:
        reached |= edge
    assert reached >= ENDED or state in ENDED


def test_only_a_job_that_recovers_runs_again():
    assert {state for state, after in TRANSITIONS.items() if JobState.RUNNING in after} == {
        JobState.STARTING,
        JobState.RECOVERING,
    }
    assert all(state not in after for state, after in TRANSITIONS.items())
