"""What Spark is given, and what a command says when its session does not end well."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.lakes import needs_spark

from positionstore.errors import PositionstoreError
from positionstore.export.iceberg import TableFile
from positionstore.lake import fold_sql
from positionstore.lake.engine import started
from positionstore.lake.names import EngineName

pytestmark = [pytest.mark.slow, needs_spark()]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose connection to Java is in the middle of another answer."""
    from positionstore.lake import by_spark  # noqa: PLC0415 - not everywhere installed

    class Session:
        def stop(self) -> None:
            raise KeyError("p")

    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    monkeypatch.setattr(by_spark, "_session", lambda _: Session())


@pytest.mark.usefixtures("broken")
def test_an_interruption_stays_one_though_the_session_cannot_be_stopped() -> None:
    from positionstore.lake.by_spark import by_spark  # noqa: PLC0415 - the same

    with pytest.raises(KeyboardInterrupt), by_spark(None):
        raise KeyboardInterrupt


@pytest.mark.usefixtures("broken")
def test_a_java_that_has_ended_is_one_line() -> None:
    from py4j.protocol import Py4JNetworkError  # noqa: PLC0415 - the same

    from positionstore.lake.by_spark import by_spark  # noqa: PLC0415 - the same

    with pytest.raises(PositionstoreError, match="Spark cannot fold the lake"), by_spark(None):
        raise Py4JNetworkError("Answer from Java side is empty")


def test_a_name_that_looks_like_a_pattern_is_a_name_and_a_file_that_goes_is_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a [1] {b,c}*\\d" / "facts.parquet"
    file.parent.mkdir()
    pq.write_table(pa.table({name: ["x"] for name in fold_sql.facts_columns()}), file)
    with pytest.raises(PositionstoreError, match=r"facts\.parquet"):
        _read_before_and_after_it_goes(file)


def _read_before_and_after_it_goes(file: Path) -> None:
    with started(EngineName.SPARK, master="local[1]") as engine:
        engine.give_facts([TableFile(f"file://{file}", 1)], None)
        assert engine.run("SELECT count(*) AS facts FROM facts").to_pylist() == [{"facts": 1}]
        file.unlink()
        engine.run("SELECT * FROM facts")
