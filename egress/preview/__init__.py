"""What a pipeline looks like, without any room: made-up people before the real layouts, compositor and encoder."""
