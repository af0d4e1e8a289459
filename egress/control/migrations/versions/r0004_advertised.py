"""Where people reach a server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add to servers the address that people reach them at."""
    op.add_column("servers", sa.Column("advertised", sa.Text(), nullable=True))
