"""`python -m labkit.cli`, for where the `labkit` program is not on the PATH."""

from labkit import cli

cli.main()
