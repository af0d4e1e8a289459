"""What became of triggers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Let triggers say what became of them."""
    op.add_column("triggers_seen", sa.Column("note", sa.Text(), nullable=False, server_default=""))
