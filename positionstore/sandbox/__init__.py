"""A local gateway and REST API to develop and test against.

    from positionstore.sandbox import Faults, Options, Sandbox

    async with Sandbox(Options(seed=7, faults=Faults(duplicates=0.05))) as sandbox:
        print(sandbox.url, sandbox.api_key)

:class:`World` is the simulation alone, :func:`history` makes a capture of any length at once.
"""

from positionstore.sandbox.faults import Faults
from positionstore.sandbox.recording import Record, read
from positionstore.sandbox.server import Options, Sandbox
from positionstore.sandbox.world import Emission, World, history

__all__ = ["Emission", "Faults", "Options", "Record", "Sandbox", "World", "history", "read"]
