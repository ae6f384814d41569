"""Look at a clip: facts, findings, first frame. The clip's bytes are opened in a child process, never here."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from templategen.video.facts import Facts, Finding
from templategen.video.limits import judge, judge_size
from templategen.video.source import Source, SourceError, SparseSource

MOST_READS = 50_000
MOST_BYTES = 128 << 20
MOST_JSON = 1 << 20
MOST_PICTURE = 8 << 20
_ROOT = Path(__file__).resolve().parents[2]
# Isolated mode keeps the caller's directory and environment out; the path is put back for this one package.
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from templategen.video.child import main; main(sys.argv[2:])"


@dataclass(frozen=True)
class Probe:
    """What came out. `facts` are None where the file could not be opened as an MP4, MOV or AVI."""

    facts: Facts | None
    findings: tuple[Finding, ...]
    first_frame: bytes | None  # WebP, upright

    @property
    def ok(self) -> bool:
        """No finding is a failure."""
        return all(finding.verdict != "fail" for finding in self.findings)


class _BrokenError(Exception):
    """The child died or talks nonsense; `code` says how."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def probe(source: Source, *, seconds: float = 15.0, memory_bytes: int = 1 << 30, frame_side: int = 640) -> Probe:
    """Facts and findings of a clip, within `seconds` of wall clock and `memory_bytes` of address space.

    Whatever the file does is a finding. NeedBytes and SourceError come from the source and pass through. RuntimeError
    where the child cannot be started properly, which no file can cause.
    """
    if source.size <= 0:
        return _unreadable(0, "empty", None)
    try:
        text, picture = _Child(source, seconds, memory_bytes, frame_side).run()
        return _result(source.size, text, picture)
    except _BrokenError as broken:
        return _unreadable(source.size, broken.code, None)


def _unreadable(size: int, code: str, measured: float | str | None) -> Probe:
    return Probe(None, (judge_size(size), Finding("readable", "fail", measured, None, code)), None)


def _result(size: int, text: bytes, picture: bytes) -> Probe:
    """The child's answer, believed only as far as its shape goes: it has just read a stranger's file."""
    try:
        answer = json.loads(text)
        extra = tuple(Finding.from_dict(finding) for finding in answer["findings"])
        facts = Facts.from_dict(answer["facts"]) if answer["facts"] is not None else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _BrokenError("crashed") from error
    judged = judge(facts) if facts is not None else (judge_size(size),)
    if facts is None and not extra:
        raise _BrokenError("crashed")
    return Probe(facts, judged + extra, picture if picture[:4] == b"RIFF" else None)


class _Child:
    """One run of the child: started, answered, always reaped."""

    def __init__(self, source: Source, seconds: float, memory_bytes: int, frame_side: int) -> None:
        self._source = source
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._in_source = 0.0
        self._buffer = bytearray()
        whole = "0" if isinstance(source, SparseSource) else "1"
        self._arguments = [str(source.size), str(seconds), str(memory_bytes), str(frame_side), whole]

    def run(self) -> tuple[bytes, bytes]:
        """JSON and picture. _BrokenError, or what the source raises."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 -- our own code, nothing of the user's in the arguments
                    [sys.executable, "-I", "-c", _BOOT, str(_ROOT), *self._arguments],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,
                )
            try:
                return self._serve(ours)
            except _BrokenError as broken:
                raise _BrokenError(self._why(process, broken.code)) from broken
            finally:
                process.kill()
                process.wait()

    def _why(self, process: subprocess.Popen[bytes], code: str) -> str:
        """A child that ran out of its CPU time is a timeout, however it looked from here."""
        if code != "crashed":
            return code
        try:
            status = process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            return code
        return "timeout" if status == -signal.SIGXCPU else code

    def _serve(self, pipe: socket.socket) -> tuple[bytes, bytes]:
        reads = sent = 0
        while True:
            kind, numbers = self._line(pipe)
            if kind == "B":
                raise RuntimeError("The probe's child process cannot load PyAV: is the installation complete?")
            if kind == "D":
                text_length, picture_length = numbers
                if text_length > MOST_JSON or picture_length > MOST_PICTURE:
                    raise _BrokenError("crashed")
                answer = self._take(pipe, text_length + picture_length)
                return answer[:text_length], answer[text_length:]
            offset, length = numbers
            reads, sent = reads + 1, sent + length
            if reads > MOST_READS or sent > MOST_BYTES or offset > self._source.size:
                raise _BrokenError("too_big")
            self._send(pipe, self._read(offset, length, some=kind == "S"))

    def _read(self, offset: int, length: int, *, some: bool) -> bytes:
        before = time.monotonic()
        if some and isinstance(self._source, SparseSource):
            data = self._source.read_some(offset, length)
        else:
            data = self._source.read_at(offset, length)
        self._in_source += time.monotonic() - before
        return data

    def _line(self, pipe: socket.socket) -> tuple[str, tuple[int, int]]:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > 64:
                raise _BrokenError("crashed")
            self._fill(pipe)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        kind, parts = line[:1], line[1:].split(b" ")
        if kind == b"B":
            return "B", (0, 0)
        if kind not in {b"R", b"S", b"D"} or len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise _BrokenError("crashed")
        return kind.decode(), (int(parts[0]), int(parts[1]))

    def _take(self, pipe: socket.socket, length: int) -> bytes:
        while len(self._buffer) < length:
            self._fill(pipe)
        return bytes(self._buffer[:length])

    def _fill(self, pipe: socket.socket) -> None:
        pipe.settimeout(self._left())
        try:
            data = pipe.recv(1 << 16)
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise _BrokenError("crashed") from error
        if not data:
            raise _BrokenError("crashed")
        self._buffer += data

    def _send(self, pipe: socket.socket, data: bytes) -> None:
        pipe.settimeout(self._left())
        try:
            pipe.sendall(struct.pack("<I", len(data)) + data)
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise _BrokenError("crashed") from error

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> Exception:
        """The time is up: the file's fault, unless most of it went into waiting for bytes."""
        if self._in_source > self._seconds / 2:
            return SourceError("The clip's bytes came too slowly.")
        return _BrokenError("timeout")


def _environment() -> dict[str, str]:
    """Nothing of ours: no keys, no settings. The library path matters where Python itself was built with one."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"LANG": "C.UTF-8", **kept}
