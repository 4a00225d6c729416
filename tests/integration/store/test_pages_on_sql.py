"""Each documented query, and the diagram, on each server that users have: as the pages show it."""

from contextlib import closing
from pathlib import Path

import docs_world
import pytest
from docs_diagram import RELATIONS, check
from docs_sql import sql_pages
from support.postgres import CHOSEN

from positionstore.store import database

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.skipif(CHOSEN is None, reason="On this server the pages are made.")
def test_every_server_gives_what_the_pages_show(any_store_url: str) -> None:
    names = docs_world.fill(any_store_url)
    with closing(database.connect(any_store_url)) as connection:
        connection.execute("SET timezone = 'Pacific/Kiritimati'")
        pages = sql_pages(connection, names)
        shown = {name: (DOCS / name).read_text(encoding="utf-8") for name in pages}
        assert pages == shown
        relation = next(relation for relation in RELATIONS if relation.mark == "||--o{")
        with pytest.raises(LookupError, match="leads to"):
            check(connection, relation._replace(mark="}o--||"))
