"""Steps from one shape of the database to the next; `head` is the shape this version of Egress needs."""

HEAD = "0004"
"""Known without loading Alembic, so that a server whose database is of this shape starts at once."""
