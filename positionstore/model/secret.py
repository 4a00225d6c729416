"""A secret text, which nothing shows by accident."""

from dataclasses import dataclass

_MASK = "**********"


@dataclass(frozen=True, slots=True, repr=False)
class SecretStr:
    """A text that is masked wherever it is printed; called as pydantic calls its own.

    Attributes:
        value: the text; to be asked for by :meth:`get_secret_value`, which can be searched for.
    """

    value: str

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self.value

    def __str__(self) -> str:
        return _MASK

    def __repr__(self) -> str:
        return f"SecretStr({_MASK!r})"
