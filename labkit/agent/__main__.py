"""`python -m labkit.agent`."""

import sys

from labkit.agent import main

sys.exit(main.main(sys.argv[1:]))
