"""Where the programme goes: each sink opens, writes and closes on its own thread."""
