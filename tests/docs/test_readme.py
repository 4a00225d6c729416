"""What the README tells the reader to paste works."""

import re
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)


def test_the_readme_has_sql_to_paste() -> None:
    assert len(STATEMENTS) >= 3


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_sql_of_the_readme_works(statement: str, store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        assert connection.execute(statement.encode()).description


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def sections(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_section_leads_to_its_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    own = [
        (page.parent / file if file else page, name) for file, name in links if "://" not in file
    ]

    assert [(file.name, name) for file, name in own if name not in sections(file)] == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_every_page_is_found_from_the_readme_and_leads_on(page: Path) -> None:
    others = {other.name for other in PAGES} - {page.name}

    assert f"(docs/{page.name})" in README
    assert others & set(re.findall(r"\]\(([\w-]+\.md)", page.read_text(encoding="utf-8")))
