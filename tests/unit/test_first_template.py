"""A service that never had a template comes with one, for publishers who just want to be live."""

from __future__ import annotations

from sqlalchemy import delete

from egress import pipelines
from egress.control import templates
from egress.control.first_template import furnish
from egress.control.store import Store
from egress.control.tables import facts
from egress.model.template import read_template


def test_the_first_template_is_for_studios_and_names_a_pipeline_there_is(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(delete(facts).where(facts.c.name == "first_template"))
        assert furnish(connection, store.sealer)
        doc = templates.open_template(connection, store.sealer, "studio")
    assert doc.fits("studio") and doc.fits("studio-2") and not doc.fits("standup")
    assert doc.address("studio") == "local:studio" and set(doc.pipelines) <= set(pipelines.names())


def test_one_that_was_removed_does_not_come_back(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(delete(facts).where(facts.c.name == "first_template"))
        furnish(connection, store.sealer)
        templates.remove(connection, "studio")
        assert not furnish(connection, store.sealer)
        assert templates.page(connection).items == ()


def test_who_has_templates_is_given_none(store: Store) -> None:
    mine = read_template({"name": "mine", "pipelines": ["record-grid"]})
    with store.writing() as connection:
        connection.execute(delete(facts).where(facts.c.name == "first_template"))
        templates.put(connection, store.sealer, mine)
        assert not furnish(connection, store.sealer)
        assert [one.name for one in templates.page(connection).items] == ["mine"]
