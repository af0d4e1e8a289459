"""Every sealed column: known to open under the keys that are set, and sealed anew when they change."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, Connection, Table, bindparam, insert, select, update

from egress.control.sealing import Sealer
from egress.control.tables import errands, facts, job_requests, pipelines, schedules, templates, webhooks
from egress.model.errors import Fault, RequestError

_FACT = "seal"

SEALED: Sequence[tuple[Table, Column[str], str]] = (
    (job_requests, job_requests.c.job, "job"),
    (pipelines, pipelines.c.name, "pipeline"),
    (templates, templates.c.name, "template"),
    (schedules, schedules.c.id, "schedule"),
    (webhooks, webhooks.c.id, "webhook"),
    (errands, errands.c.id, "errand"),
)
"""Tables with a column `sealed`, the column that names a row, and what its rows are called when they are sealed."""


def check_keys(connection: Connection, sealer: Sealer) -> None:
    """See that the keys are those of this database, and seal all anew that is not sealed with the first of them.

    Raises RequestError when they are others: better at start than when the first secret is needed.
    """
    kept = connection.execute(select(facts.c.value).where(facts.c.name == _FACT)).scalar_one_or_none()
    if kept is None:
        connection.execute(insert(facts).values(name=_FACT, value=sealer.seal("egress", _FACT)))
        return
    try:
        sealer.open(kept, _FACT)
    except Fault:
        wrong = "is not the key this database was sealed with; give that one, after a comma if it is to be replaced"
        raise RequestError(f"EGRESS_SECRET_KEY (or the key file) {wrong}", (("secret_key", wrong),)) from None
    if sealer.is_current(kept):
        return
    for table, key, what in SEALED:
        rows = connection.execute(select(key, table.c.sealed)).all()
        if changed := [
            {"row": row, "anew": sealer.seal(sealer.open(sealed, f"{what}:{row}").reveal(), f"{what}:{row}")}
            for row, sealed in rows
            if not sealer.is_current(sealed)
        ]:
            statement = update(table).where(key == bindparam("row")).values(sealed=bindparam("anew"))
            connection.execute(statement, changed)
    connection.execute(update(facts).where(facts.c.name == _FACT).values(value=sealer.seal("egress", _FACT)))
