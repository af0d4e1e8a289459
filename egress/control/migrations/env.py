"""What Alembic runs for `egress.control.store`, which gives the connection, its lock held and its transaction begun."""

from __future__ import annotations

from alembic import context

from egress.control.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
