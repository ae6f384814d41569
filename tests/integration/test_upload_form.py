"""The plain form, for browsers without JavaScript."""

from pathlib import Path

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from templategen.clients.build import storage
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.web import spool
from tests.clips import make_clip
from tests.product import Product
from tests.sandbox import Sandbox

URL = "/a/studio/uploads/form/"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4").read_bytes()


@pytest.fixture
def web(client: Client, owner: User, product: Product) -> Client:
    client.force_login(owner)
    return client


def longer(clip: bytes, padding: int = 9_000_000) -> bytes:
    """The same clip with a free box behind it: large enough for the disk, and for two parts."""
    return clip + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8)


def send(web: Client, *files: tuple[str, bytes]) -> HttpResponse:
    return web.post(URL, {"clip": [SimpleUploadedFile(name, data) for name, data in files]})


def states() -> dict[str, str]:
    return dict(ActionTemplate.objects.values_list("clip__file_name", "state"))


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_good_file_goes_on_to_the_storage(web: Client, clip: bytes, size: str) -> None:
    data = clip if size == "small" else longer(clip)
    answer = send(web, ("dance.mp4", data))
    assert answer.status_code == 302
    assert answer["Location"] == "/a/studio/"
    assert [str(message) for message in get_messages(answer.wsgi_request)]
    [template] = ActionTemplate.objects.select_related("clip")
    assert (template.name, template.state) == ("dance", State.CHECKING)
    assert storage().head(template.clip.object_key).size == len(data)
    assert storage().read_range(template.clip.object_key, 0, len(clip)) == clip


def test_a_file_that_breaks_a_rule_is_refused_in_words(web: Client, tmp_path: Path) -> None:
    slow = make_clip(tmp_path / "slow.mp4", fps=12).read_bytes()
    answer = send(web, ("slow.mp4", slow))
    assert answer.status_code == 422
    assert "12" in answer.content.decode()
    assert states() == {}


def test_one_bad_file_does_not_stop_another(web: Client, clip: bytes) -> None:
    answer = send(web, ("bad.mp4", b"not a video"), ("good.mp4", clip), ("empty.mp4", b""))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert all(name in page for name in ("bad.mp4", "good.mp4", "empty.mp4"))
    assert states() == {"good.mp4": State.CHECKING}


def test_several_good_files_are_all_taken(web: Client, clip: bytes) -> None:
    assert send(web, ("one.mp4", clip), ("two.mp4", clip)).status_code == 302
    assert states() == {"one.mp4": State.CHECKING, "two.mp4": State.CHECKING}


def test_a_file_larger_than_any_clip_is_read_past(web: Client, clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "CLIP_BYTES", 5_000_000)
    answer = send(web, ("before.mp4", clip), ("huge.mp4", longer(clip)), ("after.mp4", clip))
    assert answer.status_code == 422
    assert "huge.mp4" in answer.content.decode()
    assert set(states()) == {"before.mp4", "after.mp4"}


def test_a_request_that_is_too_large_is_told_so_and_nothing_of_it_is_kept(
    web: Client, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(TemporaryUploadedFile, "write", lambda self, data: kept.append(data), raising=False)
    monkeypatch.setattr(spool, "FORM_BYTES", 5_000_000)
    answer = send(web, ("large.mp4", longer(clip)))
    assert answer.status_code == 413
    assert "may have up to 5.0 MB" in answer.content.decode()
    assert states() == {}
    assert kept == []


def test_files_of_somebody_who_is_not_signed_in_are_not_kept(
    client: Client, owner: User, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(TemporaryUploadedFile, "write", lambda self, data: kept.append(data), raising=False)
    answer = send(client, ("large.mp4", longer(clip)))
    assert answer.status_code == 302
    assert "/sign-in/" in answer["Location"]
    assert kept == []


def test_a_form_without_a_file_says_what_to_do(web: Client) -> None:
    answer = web.post(URL, {})
    assert answer.status_code == 422
    assert answer.content.decode().count("<h1") == 1


def test_a_storage_that_does_not_answer_is_said_so(web: Client, clip: bytes, sandbox: Sandbox) -> None:
    sandbox.fault("oss", "status", status=403, code="AccessDenied")
    answer = send(web, ("dance.mp4", clip))
    assert answer.status_code == 503
    assert "dance.mp4" in answer.content.decode()


def test_the_form_is_protected_against_forgery(owner: User, clip: bytes) -> None:
    web = Client(enforce_csrf_checks=True)
    web.force_login(owner)
    assert send(web, ("dance.mp4", clip)).status_code == 403
    assert states() == {}


def test_a_stranger_gets_404(client: Client, owner: User, stranger: User, clip: bytes) -> None:
    client.force_login(stranger)
    assert send(client, ("dance.mp4", clip)).status_code == 404
    assert states() == {}
