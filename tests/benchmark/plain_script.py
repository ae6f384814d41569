"""What people do without the product: one script, clip after clip. The rival in `peer.py`.

    python tests/benchmark/plain_script.py --oss URL --api URL CLIP...

For each clip: put it into the bucket, submit its signed address, ask for the task every ten seconds until it has ended,
print the template ID, take the next. Like the public scripts it keeps nothing but what it prints.
"""

import argparse
import time
import uuid
from pathlib import Path
from typing import Any

import oss2
import requests

POLL_SECONDS = 10.0
PREFIX = "plain/"
_MOST_POLLS = 360


def submit(api: str, headers: dict[str, str], video_url: str) -> str:
    """The ID of a new task."""
    answer = requests.post(
        f"{api}/services/aigc/image2video/aa-template-generation/",
        json={"model": "animate-anyone-template-gen2", "input": {"video_url": video_url}},
        headers={**headers, "X-DashScope-Async": "enable"},
        timeout=60,
    )
    answer.raise_for_status()
    return str(answer.json()["output"]["task_id"])


def wait(api: str, headers: dict[str, str], task_id: str) -> dict[str, Any]:
    """The output of a task that has ended."""
    for _ in range(_MOST_POLLS):
        answer = requests.get(f"{api}/tasks/{task_id}", headers=headers, timeout=60)
        answer.raise_for_status()
        output: dict[str, Any] = answer.json()["output"]
        if output["task_status"] not in {"PENDING", "RUNNING"}:
            return output
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"task {task_id} does not end")


def main() -> None:
    """One clip after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--oss", required=True)
    parser.add_argument("--api", required=True)
    parser.add_argument("clips", type=Path, nargs="+")
    options = parser.parse_args()
    bucket = oss2.Bucket(oss2.AuthV4("sandbox", "sandbox-secret"), options.oss, "templategen", region="cn-beijing")
    headers = {"Authorization": "Bearer sk-sandbox"}
    for clip in options.clips:
        key = f"{PREFIX}{uuid.uuid4().hex}/{clip.name}"
        bucket.put_object(key, clip.read_bytes())
        task_id = submit(options.api, headers, bucket.sign_url("GET", key, 24 * 3600, slash_safe=True))
        output = wait(options.api, headers, task_id)
        print(clip.name, output.get("template_id") or output.get("code") or output["task_status"], flush=True)


if __name__ == "__main__":
    main()
