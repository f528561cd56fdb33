"""`python -m labkit.apiserver`."""

import sys

from labkit.apiserver import main

sys.exit(main.main())
