"""Run a command where libvirt is: see the package's text."""

from __future__ import annotations

import sys

from tests import vagrant
from tests.vagrant import harness

if len(sys.argv) < 2:
    sys.exit(vagrant.__doc__)
with harness.running() as here:
    sys.exit(here.call(sys.argv[1:]))
