#!/usr/bin/env python
"""Django's command-line entry point."""

import os
import sys


def main() -> None:
    """Run one management command with the product's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "templategen.settings")
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 -- settings must be named first
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        # The environment is at fault, not the code: one line says what to mend.
        sys.exit(f"{os.path.basename(sys.argv[0])}: {problem}")  # noqa: PTH119
    except Exception as problem:
        from templategen.management.plain_errors import words_for  # noqa: PLC0415 -- needs Django set up

        words = words_for(problem)
        if words is None or "--traceback" in sys.argv:
            raise
        sys.exit(f"{os.path.basename(sys.argv[0])}: {words}")  # noqa: PTH119


if __name__ == "__main__":
    main()
