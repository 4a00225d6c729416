"""What every test may ask for. Fixtures live in small modules, one noun each."""

import profiles

profiles.load()

pytest_plugins = ["fix_postgres", "fix_proxy", "fix_store", "selection"]
