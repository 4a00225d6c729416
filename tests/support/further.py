"""A migration that is yet to come, for tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from positionstore.store import migrations


@contextmanager
def a_further_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upgrade: str
) -> Iterator[str]:
    """The migrations, with one more after them that runs this SQL."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations._folder(), folder)
    (folder / "versions" / "9000_further.py").write_text(
        "from alembic import op\n"
        f"revision = '9000'\ndown_revision = {migrations.head()!r}\n"
        f"def upgrade():\n    op.get_bind().connection.cursor().execute({upgrade!r})\n"
        "def downgrade():\n    pass\n",
        encoding="utf-8",
    )
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "_folder", lambda: folder)
        yield "9000"
