"""From encoded tracks to one picture and one sound, encoded once. No sockets, no files, no job."""
