"""The vocabulary every part speaks: rooms, jobs, pipelines, media and errors. No I/O."""
