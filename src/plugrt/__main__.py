"""`python -m plugrt`, the same as `plugrt`."""

import sys

from plugrt.cli import main

sys.exit(main())
