"""Commands that servers leave for each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make a table of commands to jobs of other servers."""
    op.create_table(
        "errands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("errands_of_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("errands_key")),
    )
    op.create_index(op.f("errands_by_server_taken"), "errands", ["server", "taken"], unique=False)
    op.create_index(op.f("errands_by_job"), "errands", ["job"], unique=False)
