"""What a command says when Spark's session does not end well."""

import pytest
from support.lakes import needs_spark

from positionstore.errors import PositionstoreError

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
