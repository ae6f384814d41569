"""`python -m templategen.sandbox`."""

import sys

from templategen.sandbox.cli import main

sys.exit(main(sys.argv[1:]))
