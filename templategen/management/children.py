"""How this project's own commands are run as child processes."""

import os
import sys

from django.conf import settings

from templategen.supervise import Command


def environment() -> dict[str, str]:
    """This process's own environment, with the settings that a command line may have changed said outright."""
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "TEMPLATEGEN_DATA": str(settings.DATA_DIR),
        "TEMPLATEGEN_SITE_URL": settings.SITE_URL,
        "TEMPLATEGEN_SANDBOX_URL": settings.SANDBOX_URL,
        # The project is found from whatever folder it was started in; lines come out as they are written.
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
    }


def manage(name: str, *arguments: str, stop_seconds: float) -> Command:
    """A management command as a child called ``name``."""
    return python(name, str(settings.BASE_DIR / "manage.py"), *arguments, stop_seconds=stop_seconds)


def python(name: str, *arguments: str, stop_seconds: float) -> Command:
    """This Python with arguments, as a child called ``name``."""
    return Command(name, (sys.executable, *arguments), environment(), stop_seconds)
