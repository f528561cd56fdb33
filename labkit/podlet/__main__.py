"""`python -m labkit.podlet`."""

import sys

from labkit.podlet import main

sys.exit(main.main(sys.argv[1:]))
