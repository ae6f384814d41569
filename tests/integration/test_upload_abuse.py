"""What somebody with a part's address, or with access to the bucket, could try."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests
from django.db import connection

from accounts.models import LedgerEntry, Quota
from accounts.usage import usage_of
from templategen import actions
from templategen.clients.build import storage
from templategen.models import ActionTemplate, Clip
from templategen.states import CLIP_CHANGED, State
from tests.clips import make_clip
from tests.people import account_of, make_person


@pytest.fixture(scope="session")
def good_clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clips") / "good.mp4")


@pytest.fixture
def account(owner):
    return account_of(owner)


@pytest.fixture
def upload(product, account, owner, good_clip):
    """An upload of one part that was begun."""
    return actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=good_clip.stat().st_size)


@pytest.fixture
def queued(product, account, owner, good_clip):
    template = product.upload(account, good_clip, by=owner)
    product.run_jobs()
    template.refresh_from_db()
    assert template.state == State.QUEUED
    return template


def address_of(upload):
    return actions.sign_parts(upload, [1])[1]


def changed(url, *, path=None, without=(), **query):
    parts = urlsplit(url)
    given = {name: value for name, value in parse_qsl(parts.query) if name not in without} | query
    return urlunsplit(parts._replace(path=path or parts.path, query=urlencode(given)))


def put(url, data=b"x" * 1000):
    return requests.put(url, data=data, timeout=10).status_code


def test_only_so_many_unfinished_uploads_of_an_account(product, account, owner, settings):
    settings.UNFINISHED_UPLOADS = 2

    def begin(who=owner, where=account):
        return actions.begin_upload(where, by=who, file_name="a.mp4", size_bytes=1_000_000)

    first = begin()
    begin()
    with pytest.raises(actions.QuotaError, match="2 unfinished uploads") as caught:
        begin()
    assert caught.value.code == "upload.unfinished"
    assert usage_of(account.pk).storage.held == 2_000_000
    # Other accounts are others.
    other = make_person("other@example.com", "other")
    begin(other, account_of(other))
    actions.cancel(first, by=owner)
    begin()


def test_of_many_starts_at_once_no_more_begin_than_may(product, account, owner, settings):
    settings.UNFINISHED_UPLOADS, threads = 3, 12
    ready = Barrier(threads)

    def begin(number):
        try:
            ready.wait(60)
            actions.begin_upload(account, by=owner, file_name=f"{number}.mp4", size_bytes=1_000_000)
        except actions.QuotaError as refused:
            return refused.code
        finally:
            connection.close()
        return "begun"

    with ThreadPoolExecutor(threads) as pool:
        told = list(pool.map(begin, range(threads)))
    assert sorted(told) == ["begun"] * 3 + ["upload.unfinished"] * (threads - 3)
    assert ActionTemplate.objects.filter(state=State.UPLOADING).count() == Clip.objects.count() == 3
    # A refused start holds no room and leaves no entry.
    assert usage_of(account.pk).storage.held == 3_000_000
    assert LedgerEntry.objects.count() == 3


@pytest.mark.parametrize(
    "header",
    ["Content-Type", "Content-MD5", "x-oss-object-acl", "x-oss-copy-source", "x-oss-callback", "x-oss-forbid-overwrite",
     "x-oss-meta-a", "x-oss-storage-class", "x-oss-security-token"],
)  # fmt: skip
def test_no_header_can_be_added_to_a_parts_address(upload, header):
    url = address_of(upload)
    value = "public-read" if header.endswith("acl") else "/templategen/clips/other.mp4"
    assert requests.put(url, data=b"x", headers={header: value}, timeout=10).status_code in {400, 403}
    assert storage().list_parts(upload.clip.object_key, upload.clip.upload_id) == {}


def test_nothing_can_be_added_to_or_taken_from_a_parts_address(upload):
    url = address_of(upload)
    for name in dict(parse_qsl(urlsplit(url).query)):
        assert put(changed(url, without=(name,))) in {400, 403}, name
    for more in ({"acl": ""}, {"append": "", "position": "0"}, {"x-oss-process": "x"}, {"uploads": ""}):
        assert put(changed(url, **more)) in {400, 403}, more
    assert put(url.replace("partNumber=1", "partNumber=1&partNumber=2")) in {400, 403}
    assert storage().list_parts(upload.clip.object_key, upload.clip.upload_id) == {}


def test_a_parts_address_is_of_no_use_once_the_upload_was_canceled(upload, owner):
    url = address_of(upload)
    assert put(url) == 200
    actions.cancel(upload, by=owner)
    assert put(url) == 404
    assert storage().head(upload.clip.object_key) is None


def test_a_parts_address_writes_nowhere_else(upload, account, owner):
    url = address_of(upload)
    other = actions.begin_upload(account, by=owner, file_name="b.mp4", size_bytes=1_000_000)
    bucket = urlsplit(url).path.removesuffix(upload.clip.object_key)
    assert put(changed(url, path=f"{bucket}{other.clip.object_key}")) == 403
    assert put(changed(url, path=f"{bucket}clips/anything.mp4")) == 403
    assert put(changed(url, uploadId=other.clip.upload_id)) == 403
    assert put(changed(url, partNumber="2")) == 403
    # Without the upload it would be a plain PUT of the object.
    assert put(changed(url, without=("uploadId", "partNumber"))) == 403
    assert put(changed(url, **{"x-oss-expires": "604800"})) == 403
    for method in ("GET", "DELETE", "POST"):
        assert requests.request(method, url, timeout=10).status_code == 403
    assert storage().head(upload.clip.object_key) is None
    assert storage().list_parts(other.clip.object_key, other.clip.upload_id) == {}
    assert put(url) == 200


def test_a_parts_address_is_of_no_use_after_its_time(upload, sandbox, settings):
    settings.PART_URL_SECONDS = 60
    url = address_of(upload)
    sandbox.settings(clock_offset_seconds=120)
    assert put(url) == 403
    sandbox.settings(clock_offset_seconds=0)
    assert put(url) == 200


def test_a_finished_object_cannot_be_written_over(upload, owner, good_clip):
    url = address_of(upload)
    assert put(url, good_clip.read_bytes()) == 200
    actions.finish_upload(upload, by=owner)
    before = storage().head(upload.clip.object_key)
    assert put(url, b"y" * 1000) == 404
    assert put(changed(url, without=("uploadId", "partNumber")), b"y" * 1000) == 403
    assert storage().head(upload.clip.object_key) == before
    # Nor by a second upload under the same key, not even with the site's own rights.
    with pytest.raises(Exception, match="FileAlreadyExists"):
        storage().begin_multipart(upload.clip.object_key, content_type="video/mp4")


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_what_is_stored_has_the_size_that_was_declared(upload, owner, account, size):
    assert put(address_of(upload), b"x" * size) == 200
    with pytest.raises(actions.IncompleteError):
        actions.finish_upload(upload, by=owner)
    assert storage().head(upload.clip.object_key) is None
    assert usage_of(account.pk).storage.used == 0


def test_a_part_replaced_behind_the_servers_back_is_no_part_of_the_object(upload, owner, good_clip, monkeypatch):
    url = address_of(upload)
    put(url, good_clip.read_bytes())
    complete = type(storage()).complete_multipart

    def replaced_first(self, key, upload_id, parts):
        put(url, b"y" * (good_clip.stat().st_size + 9))
        complete(self, key, upload_id, parts)

    monkeypatch.setattr(type(storage()), "complete_multipart", replaced_first)
    with pytest.raises(actions.StorageTroubleError):
        actions.finish_upload(upload, by=owner)
    assert storage().head(upload.clip.object_key) is None
    upload.refresh_from_db()
    assert upload.state == State.UPLOADING


def test_a_swapped_object_is_noticed_before_anything_is_paid_for(product, sandbox, account, owner, queued, good_clip):
    calls = sandbox.overview()["calls"].get("submit", 0)
    data = bytearray(good_clip.read_bytes())
    data[-1] ^= 1
    storage().put(queued.clip.object_key, bytes(data), content_type="video/mp4")
    product.run_until_settled(queued)
    assert (queued.state, queued.error_code) == (State.FAILED, CLIP_CHANGED)
    assert queued.sent_at is None
    assert sandbox.overview()["calls"].get("submit", 0) == calls
    assert not [task for task in sandbox.tasks() if queued.clip.object_key in task["video_url"]]
    assert usage_of(account.pk).templates.held == usage_of(account.pk).templates.used == 0
    with pytest.raises(actions.NotPossibleError, match="not the one that was checked"):
        actions.retry(queued, by=owner)


def test_a_clip_that_is_gone_is_not_sent(product, queued):
    storage().delete(queued.clip.object_key)
    product.run_until_settled(queued)
    assert (queued.state, queued.error_code) == (State.FAILED, "clip.gone")


def test_while_the_storage_does_not_tell_nothing_is_sent_and_the_hold_stays(product, sandbox, account, queued):
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable", times=1)
    product.one_round()
    queued.refresh_from_db()
    assert (queued.state, queued.error_code, queued.sent_at) == (State.QUEUED, "clip.unread", None)
    assert usage_of(account.pk).templates.held == 1
    ActionTemplate.objects.update(next_look_at=queued.changed_at)
    product.run_until_settled(queued)
    assert queued.state == State.READY


def test_clips_from_before_etags_were_kept_are_sent(product, queued):
    Clip.objects.update(etag="", crc64="")
    product.run_until_settled(queued)
    assert queued.state == State.READY


def test_a_size_beyond_the_quota_is_refused_before_the_storage_is_asked(product, account, owner, sandbox):
    Quota.objects.create(account=account, storage_bytes=100)
    calls = sandbox.overview()["calls"]
    with pytest.raises(actions.QuotaError):
        actions.begin_upload(account, by=owner, file_name="a.mp4", size_bytes=101)
    assert sandbox.overview()["calls"] == calls
    assert not Clip.objects.exists()
