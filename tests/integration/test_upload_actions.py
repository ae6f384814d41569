"""An upload from begin to finish, as OSS sees it: nothing the browser says is believed."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from templategen import actions, media
from templategen.actions import PART_SIZE
from templategen.clients.build import storage
from templategen.models import ActionTemplate, Clip, Event
from templategen.states import State
from tests.people import account_of
from tests.product import queued_packages

SIZE = PART_SIZE + 200_000


@pytest.fixture
def upload(product, owner):
    """An upload of two parts that was begun."""
    return actions.begin_upload(account_of(owner), by=owner, file_name="Walk_01.mp4", size_bytes=SIZE, fingerprint="f")


def put_part(template, number, data=None):
    [url] = actions.sign_parts(template, [number]).values()
    data = data if data is not None else b"x" * template.clip.part_length(number)
    return requests.put(url, data=data, timeout=10)


def put_all(template):
    for number in range(1, template.clip.part_count + 1):
        assert put_part(template, number).status_code == 200


def test_an_upload_begins_with_a_row_and_a_random_key(upload, owner):
    clip = upload.clip
    assert (upload.state, upload.name, clip.file_name) == (State.UPLOADING, "Walk 01", "Walk_01.mp4")
    assert "walk" not in clip.object_key.lower()
    assert clip.upload_id
    assert (clip.part_count, clip.part_length(1), clip.part_length(2)) == (2, PART_SIZE, 200_000)
    assert Event.objects.get(template=upload).by == owner


def test_an_upload_whose_beginning_died_before_oss_was_asked_goes_on(upload):
    Clip.objects.filter(pk=upload.clip_id).update(upload_id="")
    found = ActionTemplate.objects.select_related("clip").get(pk=upload.pk)
    assert actions.upload_progress(found).missing == [1, 2]
    put_all(found)
    actions.finish_upload(found, by=None)
    assert found.state == State.CHECKING


def test_of_two_beginnings_of_one_upload_the_first_counts(upload):
    first = upload.clip.upload_id
    late = ActionTemplate.objects.select_related("clip").get(pk=upload.pk)
    late.clip.upload_id = ""
    assert actions.upload_progress(late).missing == [1, 2]
    assert late.clip.upload_id == first


@pytest.mark.parametrize("size", [0, -1, 200_000_000, 10**15])
def test_a_size_that_no_clip_may_have_is_refused_before_anything_is_made(product, owner, size):
    with pytest.raises(actions.RefusedError) as caught:
        actions.begin_upload(account_of(owner), by=owner, file_name="a.mp4", size_bytes=size)
    assert [finding.rule for finding in caught.value.findings] == ["size"]
    assert not Clip.objects.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\clips\\a.mp4", "a.mp4"),
        ("a\x00\r\nb.mp4", "ab.mp4"),
        ("", "clip"),
        ("\u202e", "clip"),
        ("舞蹈 1.MOV", "舞蹈 1.MOV"),
        ("x" * 400 + ".mp4", "x" * 251 + ".mp4"),
    ],
)
def test_file_names_are_cleaned(given, kept):
    assert actions.clean_file_name(given) == kept


def test_parts_are_signed_with_v4_for_one_part_and_a_short_time(upload, settings):
    [url] = actions.sign_parts(upload, [2]).values()
    query = parse_qs(urlsplit(url).query)
    assert query["partNumber"] == ["2"]
    assert query["uploadId"] == [upload.clip.upload_id]
    assert query["x-oss-signature-version"] == ["OSS4-HMAC-SHA256"]
    assert query["x-oss-expires"] == [str(settings.PART_URL_SECONDS)]
    assert "/cn-beijing/oss/" in query["x-oss-credential"][0]
    assert settings.OSS_ACCESS_KEY_SECRET not in url


def test_a_life_of_more_than_seven_days_is_clamped(upload):
    url = storage().sign_part(upload.clip.object_key, "u", 1, seconds=8 * 24 * 3600)
    assert parse_qs(urlsplit(url).query)["x-oss-expires"] == ["604800"]


@pytest.mark.parametrize("numbers", [[0], [3], [-1], [1, 2, 99]])
def test_parts_that_the_upload_does_not_have_are_not_signed(upload, numbers):
    with pytest.raises(actions.RefusedError):
        actions.sign_parts(upload, numbers)


def test_a_part_url_cannot_write_another_part(upload):
    [url] = actions.sign_parts(upload, [1]).values()
    assert requests.put(url.replace("partNumber=1", "partNumber=2"), data=b"x", timeout=10).status_code == 403


def test_progress_counts_only_parts_of_the_right_size(upload):
    put_part(upload, 1)
    put_part(upload, 2, b"too short")
    progress = actions.upload_progress(upload)
    assert (progress.present, progress.missing) == ({1: PART_SIZE}, [2])


def test_finishing_names_the_parts_that_are_missing(upload, owner):
    put_part(upload, 2)
    with pytest.raises(actions.IncompleteError) as caught:
        actions.finish_upload(upload, by=owner)
    assert caught.value.missing == [1]
    upload.refresh_from_db()
    assert upload.state == State.UPLOADING


def test_a_finished_upload_is_looked_at_and_goes_to_the_check(upload, owner):
    put_all(upload)
    actions.finish_upload(upload, by=owner)
    clip = Clip.objects.get(pk=upload.clip_id)
    assert upload.state == State.CHECKING
    assert clip.stored_at
    assert clip.etag
    assert len(queued_packages()) == 1


def test_finishing_twice_is_fine_and_checks_once(upload, owner):
    put_all(upload)
    again = ActionTemplate.objects.select_related("clip").get(pk=upload.pk)
    actions.finish_upload(upload, by=owner)
    actions.finish_upload(again, by=owner)
    actions.finish_upload(upload, by=owner)
    assert len(queued_packages()) == 1


def test_a_completion_whose_answer_was_lost_is_found_by_looking(upload, owner, sandbox):
    put_all(upload)
    sandbox.fault("oss-complete", "lose_answer", times=1)
    with pytest.raises(actions.StorageTroubleError):
        actions.finish_upload(upload, by=owner)
    assert actions.upload_progress(upload).missing == []
    actions.finish_upload(upload, by=owner)
    assert upload.state == State.CHECKING


def test_an_upload_that_oss_threw_away_says_so(upload, owner):
    storage().abort_multipart(upload.clip.object_key, upload.clip.upload_id)
    with pytest.raises(actions.NotPossibleError, match="no longer knows"):
        actions.finish_upload(upload, by=owner)
    with pytest.raises(actions.NotPossibleError, match="no longer knows"):
        actions.upload_progress(upload)


def test_cancel_aborts_the_multipart_and_the_row_leaves_the_pages(upload, owner):
    put_part(upload, 1)
    upload_id = upload.clip.upload_id
    actions.cancel(upload, by=owner)
    assert (upload.state, upload.deleted_at is not None) == (State.CANCELED, True)
    with pytest.raises(Exception, match="NoSuchUpload"):
        storage().list_parts(upload.clip.object_key, upload_id)
    with pytest.raises(actions.NotPossibleError):
        actions.finish_upload(upload, by=owner)
    with pytest.raises(actions.NotPossibleError):
        actions.sign_parts(upload, [1])


def test_cancel_works_while_oss_is_away_and_the_sweep_aborts_later(upload, owner, sandbox):
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable", times=1)
    actions.cancel(upload, by=owner)
    assert upload.state == State.CANCELED
    from django.utils import timezone

    from templategen import sweep

    sweep.once(now=timezone.now())
    assert Clip.objects.get(pk=upload.clip_id).upload_id == ""


def test_when_oss_is_away_no_upload_is_left_behind(product, owner, sandbox):
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable", times=1)
    with pytest.raises(actions.StorageTroubleError, match="ServiceUnavailable"):
        actions.begin_upload(account_of(owner), by=owner, file_name="a.mp4", size_bytes=SIZE)
    assert not ActionTemplate.objects.kept().exists()


def test_a_file_from_this_machine_survives_a_refused_part(product, owner, sandbox, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * SIZE)
    sandbox.fault("oss-part", "status", status=500, code="InternalError", times=1)
    heard = []
    with path.open("rb") as file:
        template = actions.upload_file(
            account_of(owner), by=owner, file=file, size_bytes=SIZE, file_name="a.mp4", progress=heard.append
        )
    assert (template.state, heard) == (State.CHECKING, [PART_SIZE, SIZE])


def test_signed_media_addresses_are_short_lived_and_play(upload, owner, settings):
    put_all(upload)
    assert media.clip_url(upload) == ""
    actions.finish_upload(upload, by=owner)
    upload.clip.refresh_from_db()
    url = media.clip_url(upload)
    assert parse_qs(urlsplit(url).query)["x-oss-expires"] == [str(settings.MEDIA_URL_SECONDS)]
    part = requests.get(url, headers={"Range": "bytes=0-9"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"x" * 10)
    saved = requests.get(media.clip_url(upload, download=True), timeout=10)
    assert "Walk_01.mp4" in saved.headers["Content-Disposition"]


def test_renaming_is_found_by_search_and_remembered(upload, owner):
    actions.rename(upload, name="  Spin\nleft ", by=owner)
    upload.refresh_from_db()
    assert (upload.name, "spin left" in upload.search_text) == ("Spin left", True)
    assert upload.events.get(kind=Event.Kind.RENAMED).detail == {"old": "Walk 01", "new": "Spin left"}
    with pytest.raises(actions.RefusedError):
        actions.rename(upload, name=" \t", by=owner)


def test_deleting_waits_for_the_end_and_can_be_undone(upload, owner):
    with pytest.raises(actions.NotPossibleError):
        actions.delete(upload, by=owner)
    put_all(upload)
    actions.finish_upload(upload, by=owner)
    upload.move(State.BLOCKED)
    actions.delete(upload, by=owner)
    assert not ActionTemplate.objects.kept().exists()
    actions.restore(upload, by=owner)
    assert ActionTemplate.objects.kept().get().state == State.BLOCKED
