"""The commands that run a job: record and demo."""
