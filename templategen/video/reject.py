"""How the code inside the probe's child says what is wrong with a file."""


class Reject(Exception):  # noqa: N818 -- a verdict, not an error
    """The file breaks `rule` so badly that probing ends here; `measured` is a number or a code, never a sentence."""

    def __init__(self, rule: str, code: str, measured: float | str | None = None) -> None:
        super().__init__(f"{rule}: {code}")
        self.rule = rule
        self.code = code
        self.measured = measured
