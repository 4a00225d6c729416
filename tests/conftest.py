"""What every test may ask for. Fixtures live in small modules, one noun each."""

from support import profiles, signals, temporary_files

signals.heed()
temporary_files.choose()
profiles.load()

pytest_plugins = [
    "support.collected",
    "support.log_setup",
    "support.ordering",
    "support.postgres",
    "support.proxy",
    "support.selection",
    "support.stores",
]
