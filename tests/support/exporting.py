"""Exports of a store, called as the command calls them."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from positionstore.export.export import export
from positionstore.export.formats import CsvStyle, Format
from positionstore.export.request import Exported, ExportRequest
from positionstore.store.database import Store

FILES: Final = tuple(form for form in Format if form is not Format.ICEBERG)
"""The formats that are files."""


@dataclass(frozen=True)
class Exporter:
    """Exports to a path, in the format that its ending says; or a folder of it by day."""

    store: Store
    progress: Callable[[int, int | None], None] = field(default=lambda *_: None)

    def __call__(
        self,
        path: Path | str,
        relation: str | None = None,
        *,
        query: str | None = None,
        since: int | None = None,
        by_day: bool = False,
        form: Format | None = None,
        resume: bool = False,
        compact: bool = False,
        csv: CsvStyle | None = None,
        exact_text: bool = False,
    ) -> Exported:
        order = ExportRequest(
            relation=relation,
            query=query,
            form=form or Format(Path(path).suffix[1:]),
            out=path,
            since=since,
            by_day=by_day,
            resume=resume,
            compact=compact,
            csv=csv or CsvStyle(),
            exact_text=exact_text,
        )
        return export(self.store, order, standard_output=io.BytesIO(), progress=self.progress)
