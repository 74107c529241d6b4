"""`python -m tc_core.cli` is `token-calc`."""

from tc_core.cli.main import main

main()
