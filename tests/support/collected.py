"""What stays for a whole run is not looked through at each garbage collection."""

import gc


def pytest_collection_finish() -> None:
    """Set aside what is there when all tests are collected: modules, and the tests themselves."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Have it taken apart at the end as always, lest libraries complain of what is left."""
    gc.unfreeze()
