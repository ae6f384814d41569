"""How much slower than curl the page is: a clip of about 190 MB into the same sandbox, in turns.

Run: python tests/benchmark/upload.py [--rounds 5]

Prints medians. `ratio`, `page_seconds`: from the choice of the file to "Uploaded", that is pre-check, begin, parts and
finish, against curl's one PUT to a signed URL (`curl_seconds`). `upload_ratio`, `upload_seconds`: the same without the
pre-check. `web_cpu_seconds`, `probe_cpu_seconds`: what the web process used for one upload, and its children, in which
it opens the clip. No worker runs meanwhile.
"""

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import oss2
from playwright.sync_api import Page, sync_playwright

from tests.benchmark.precheck import make_piece, repeat
from tests.browser.site import Site
from tests.sandbox import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LONGEST_MS = 120_000
# Times as the page itself sees them; a look from outside would add its own delays.
_WATCH = """
() => {
  window.seen = {};
  document.querySelector("[data-uploader] input[type=file]").addEventListener(
    "change", () => { window.seen = { chosen: performance.now() }; }, { capture: true });
  new MutationObserver(() => {
    const item = document.querySelector("[data-list] > li:last-child");
    const state = item && item.dataset.state;
    if (state && !(state in window.seen)) window.seen[state] = performance.now();
  }).observe(
    document.querySelector("[data-list]"), { subtree: true, childList: true, attributeFilter: ["data-state"] });
}
"""


@dataclass(frozen=True)
class Run:
    """Seconds of one upload by the page."""

    page: float
    upload: float
    web_cpu: float
    probe_cpu: float


def by_page(page: Page, site: Site, clip: Path) -> Run:
    """Choose the clip and wait for "Uploaded"."""
    before = cpu_seconds(site.web_pid)
    page.set_input_files("[data-uploader] input[type=file]", [clip])
    page.wait_for_function("window.seen.done || window.seen.failed || window.seen.refused", timeout=LONGEST_MS)
    seen = page.evaluate("window.seen")
    if "done" not in seen:
        raise SystemExit(page.locator("[data-list]").inner_text())
    steps = [(name, seen[name] - seen["chosen"]) for name in ("checking", "sending", "finishing", "done")]
    print("ms " + " ".join(f"{name}={milliseconds:.0f}" for name, milliseconds in steps), file=sys.stderr)
    web, probe = (after - start for after, start in zip(cpu_seconds(site.web_pid), before, strict=True))
    page.wait_for_function("!document.querySelector('[data-list] > li')", timeout=LONGEST_MS)
    return Run((seen["done"] - seen["chosen"]) / 1000, (seen["done"] - seen["sending"]) / 1000, web, probe)


def by_curl(bucket: oss2.Bucket, clip: Path) -> float:
    """One PUT to a signed URL; curl's own time for it."""
    url = bucket.sign_url("PUT", f"curl/{secrets.token_hex(8)}", 600, slash_safe=True)
    told = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "-T", str(clip), url],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout.split()  # fmt: skip
    if told[0] != "200":
        raise SystemExit(f"curl: {told[0]}")
    return float(told[1])


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU of a process and its present children, and that of their children which have ended."""
    own = ended = 0
    for each in (pid, *children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        own += int(fields[11]) + int(fields[12])
        ended += int(fields[13]) + int(fields[14])
    ticks = os.sysconf("SC_CLK_TCK")
    return own / ticks, ended / ticks


def children(pid: int) -> list[int]:
    """Processes that it started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def clear(bucket: oss2.Bucket) -> None:
    """What the run before left must not slow the next: its object, and its bytes on their way to the disk."""
    for found in oss2.ObjectIteratorV2(bucket):
        bucket.delete_object(found.key)
    os.sync()


def measure(folder: Path, rounds: int) -> tuple[list[Run], list[float]]:
    """In turns, so that a slow moment of the machine meets both."""
    piece, clip = folder / "piece.mp4", folder / "clip.mp4"
    make_piece(piece)
    repeat(piece, clip, movflags="+faststart")
    print(f"file_bytes={clip.stat().st_size}")
    site = Site(folder, people=1, with_worker=False)
    auth = oss2.AuthV4(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
    bucket = oss2.Bucket(auth, site.sandbox.url, BUCKET, region=REGION)
    runs: list[Run] = []
    curls: list[float] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            # wait_for_function needs eval, which the site's pages forbid; the header is sent all the same.
            context = browser.new_context(bypass_csp=True)
            person = site.person()
            context.add_cookies([{"name": site.cookie, "value": person.session, "url": site.url}])
            page = context.new_page()
            page.goto(site.gallery(person))
            page.evaluate(_WATCH)
            # The first round warms both up and is not counted.
            for number in range(rounds + 1):
                clear(bucket)
                curl = by_curl(bucket, clip)
                clear(bucket)
                run = by_page(page, site, clip)
                print(f"round={number} page={run.page:.2f} upload={run.upload:.2f} curl={curl:.2f}", file=sys.stderr)
                if number:
                    runs.append(run)
                    curls.append(curl)
            browser.close()
    finally:
        site.stop()
    return runs, curls


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        runs, curls = measure(Path(folder), rounds)
    pairs = list(zip(runs, curls, strict=True))
    print(f"ratio={statistics.median(run.page / curl for run, curl in pairs):.2f}")
    print(f"page_seconds={statistics.median(run.page for run in runs):.2f}")
    print(f"upload_ratio={statistics.median(run.upload / curl for run, curl in pairs):.2f}")
    print(f"upload_seconds={statistics.median(run.upload for run in runs):.2f}")
    print(f"curl_seconds={statistics.median(curls):.2f}")
    print(f"web_cpu_seconds={statistics.median(run.web_cpu for run in runs):.2f}")
    print(f"probe_cpu_seconds={statistics.median(run.probe_cpu for run in runs):.2f}")


if __name__ == "__main__":
    main()
