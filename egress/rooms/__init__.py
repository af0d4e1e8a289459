"""How to be in a room, unseen: one module for each kind of room server."""
