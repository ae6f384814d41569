"""Names that people and their files bring along."""

from pathlib import PurePosixPath


def clean_file_name(file_name: str) -> str:
    """The last part of a file name, printable, at most 255 characters; "clip" for nothing."""
    last = PurePosixPath(file_name.replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable()).strip()[-255:] or "clip"


def clean_name(name: str) -> str:
    """A template's name: printable, one line, at most 200 characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in name).split())[:200]
