"""Real clips for trying out, where a folder with them is at hand: TEMPLATEGEN_MEDIA, or ``shared/media`` beside us."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("TEMPLATEGEN_MEDIA", Path(__file__).resolve().parent.parent.parent / "shared" / "media"))


def media(name: str) -> Path:
    """The clip of that name; the test is skipped, with a reason, where it is not there."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"no real clips here: {path} is missing")
    return path
