"""The uploader as a person sees it, and the storage as the sandbox has it."""

import base64
import re
from pathlib import Path

import oss2
from playwright.sync_api import Locator, Page, Request, Response, expect

from tests.sandbox import ACCESS_KEY_ID, ACCESS_KEY_SECRET, BUCKET, REGION, Sandbox

PART = 8 * 1024 * 1024
_DROP = """
(files) => {
  const transfer = new DataTransfer();
  for (const { name, data, changed } of files) {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { lastModified: changed }));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector("h1").dispatchEvent(
      new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""


def padded(clip: Path, path: Path, size: int) -> Path:
    """The same clip with a free box behind it, `size` bytes in all: a valid file of as many parts as wanted."""
    data = clip.read_bytes()
    with path.open("wb") as file:
        file.write(data + (size - len(data)).to_bytes(4, "big") + b"free")
        file.truncate(size)
    return path


class Uploader:
    """What a person does with the uploader of a page; every PUT that the page sends is noted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.parts: list[int] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.method == "PUT":
            number = re.search(r"partNumber=(\d+)", request.url)
            self.parts.append(int(number.group(1)) if number else 0)

    def choose(self, *paths: Path) -> None:
        """By the button's input."""
        self.page.set_input_files("[data-uploader] input[type=file]", list(paths))

    def begin(self, path: Path) -> str:
        """Choose one file; the upload's address once it has begun."""

        def is_begun(response: Response) -> bool:
            return response.request.method == "POST" and response.url.endswith("/uploads/")

        with self.page.expect_response(is_begun) as begun:
            self.choose(path)
        url: str = begun.value.json()["upload"]["url"]
        return url

    def drop(self, *paths: Path) -> None:
        """Anywhere on the page."""
        files = [
            {
                "name": path.name,
                "data": base64.b64encode(path.read_bytes()).decode(),
                "changed": int(path.stat().st_mtime * 1000),
            }
            for path in paths
        ]
        self.page.evaluate(_DROP, files)

    def item(self, name: str) -> Locator:
        """A file's line in the list."""
        return self.page.locator("[data-list] > li").filter(has_text=name)

    def expect_state(self, name: str, *states: str) -> None:
        """Wait until the line is in one of these states."""
        expect(self.item(name)).to_have_attribute("data-state", re.compile(f"^({'|'.join(states)})$"))

    def expect_gone(self, name: str) -> None:
        """Wait until the line has left the list."""
        expect(self.item(name)).to_have_count(0)

    def press(self, action: str, name: str) -> None:
        """One of the line's buttons."""
        self.item(name).locator(f"[data-action={action}]").click()

    @property
    def spoken(self) -> Locator:
        """The live region."""
        return self.page.locator("[data-speech]")


class Bucket:
    """The sandbox's bucket, looked at from outside the product."""

    def __init__(self, sandbox: Sandbox) -> None:
        auth = oss2.AuthV4(ACCESS_KEY_ID, ACCESS_KEY_SECRET)
        self._bucket = oss2.Bucket(auth, sandbox.url, BUCKET, region=REGION)

    def unfinished(self) -> dict[str, str]:
        """Multipart uploads in hand: upload ID to key."""
        found = self._bucket.list_multipart_uploads(max_uploads=1000).upload_list
        return {upload.upload_id: upload.key for upload in found}

    def parts(self, upload_id: str) -> list[int]:
        """Numbers of the parts that have arrived."""
        key = self.unfinished()[upload_id]
        return [part.part_number for part in self._bucket.list_parts(key, upload_id).parts]

    def throw_away(self) -> None:
        """What the lifecycle rule does a day later: no upload in hand is left."""
        for upload_id, key in self.unfinished().items():
            self._bucket.abort_multipart_upload(key, upload_id)

    def sizes(self) -> dict[str, int]:
        """Every object: key to bytes."""
        return {found.key: found.size for found in oss2.ObjectIteratorV2(self._bucket)}
