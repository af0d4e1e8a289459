"""Where jobs run and who watches them. Imports neither rooms, media nor sinks."""
