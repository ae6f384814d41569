"""oss2, the SDK that the product uses, drives the service unmodified."""

import base64
import hashlib
from collections.abc import Iterator

import oss2
import pytest
import requests
from oss2.models import (
    AbortMultipartUpload,
    BucketCors,
    BucketLifecycle,
    CorsRule,
    LifecycleExpiration,
    LifecycleRule,
    PartInfo,
)

from tests.contract.service import Service

# The SDKs leave their connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MB = 1 << 20


@pytest.fixture
def bucket(service: Service) -> oss2.Bucket:
    """The bucket through oss2."""
    return service.oss()


def test_bucket_info_names_bucket_and_region(service: Service, bucket: oss2.Bucket) -> None:
    info = bucket.get_bucket_info()
    assert info.name == service.bucket
    assert info.location == f"oss-{service.region}"


def test_an_object_comes_back_as_it_was_put(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("Tänzer 1 + 2 & more.mp4")
    data = bytes(range(256)) * 1000
    put = bucket.put_object(key, data, headers={"Content-Type": "video/mp4", "x-oss-meta-name": "dance"})
    try:
        got = bucket.get_object(key)
        assert got.read() == data
        assert got.headers["Content-Type"] == "video/mp4"
        assert got.headers["x-oss-meta-name"] == "dance"
        assert got.headers["x-oss-object-type"] == "Normal"
        assert put.etag == got.etag == hashlib.md5(data).hexdigest().upper()
        assert put.crc == got.server_crc == got.client_crc
        assert put.request_id
    finally:
        bucket.delete_object(key)
    assert not bucket.object_exists(key)


def test_an_object_of_no_bytes_is_an_object(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("empty")
    bucket.put_object(key, b"")
    assert bucket.get_object(key).read() == b""
    assert bucket.head_object(key).content_length == 0
    bucket.delete_object(key)


def test_head_and_meta_tell_size_and_etag(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("a.bin")
    etag = bucket.put_object(key, b"x" * 1000).etag
    head, meta = bucket.head_object(key), bucket.get_object_meta(key)
    assert (head.content_length, head.etag) == (1000, etag)
    assert (meta.content_length, meta.etag) == (1000, etag)
    assert head.last_modified is not None
    bucket.delete_object(key)


def test_a_missing_object_is_said_so_in_get_and_head(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("nothing")
    with pytest.raises(oss2.exceptions.NoSuchKey) as got:
        bucket.get_object(key)
    assert (got.value.code, got.value.ec) == ("NoSuchKey", "0026-00000001")
    with pytest.raises(oss2.exceptions.NotFound):
        bucket.head_object(key)
    assert bucket.delete_object(key).status == 204


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((0, 9), b"0123456789"), ((990, None), b"0123456789"), ((None, 5), b"56789"), ((500, 500), b"0")],
)
def test_a_range_gives_these_bytes(
    service: Service, bucket: oss2.Bucket, asked: tuple[int | None, int | None], expected: bytes
) -> None:
    key = service.key("digits")
    bucket.put_object(key, b"0123456789" * 100)
    got = bucket.get_object(key, byte_range=asked)
    assert (got.status, got.read()) == (206, expected)
    assert got.headers["Content-Range"].endswith("/1000")
    bucket.delete_object(key)


def test_a_range_past_the_end_is_ignored_unless_the_standard_behaviour_is_asked_for(
    service: Service, bucket: oss2.Bucket
) -> None:
    key = service.key("digits")
    bucket.put_object(key, b"0123456789" * 100)
    standard = {"x-oss-range-behavior": "standard"}
    for asked in ((0, 1000), (1000, None), (1000, 2000)):
        ignored = bucket.get_object(key, byte_range=asked)
        assert (ignored.status, len(ignored.read())) == (200, 1000)
    clamped = bucket.get_object(key, byte_range=(990, 2000), headers=standard)
    assert (clamped.status, clamped.read()) == (206, b"0123456789")
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.get_object(key, byte_range=(1000, None), headers=standard)
    assert (refused.value.status, refused.value.code) == (416, "InvalidRange")
    bucket.delete_object(key)


def test_overwriting_can_be_forbidden(service: Service, bucket: oss2.Bucket) -> None:
    key, forbid = service.key("once"), {"x-oss-forbid-overwrite": "true"}
    bucket.put_object(key, b"first", headers=forbid)
    with pytest.raises(oss2.exceptions.ServerError) as put:
        bucket.put_object(key, b"second", headers=forbid)
    assert (put.value.status, put.value.code, put.value.ec) == (409, "FileAlreadyExists", "0042-00000214")
    with pytest.raises(oss2.exceptions.ServerError):
        bucket.init_multipart_upload(key, headers=forbid)
    assert bucket.get_object(key).read() == b"first"
    bucket.put_object(key, b"third")
    assert bucket.get_object(key).read() == b"third"
    bucket.delete_object(key)


def test_parts_become_one_object(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("parts.mov")
    pieces = [bytes([n]) * 150_000 for n in range(3)] + [b"tail"]
    upload = bucket.init_multipart_upload(key, headers={"Content-Type": "video/quicktime"}).upload_id
    parts = []
    for number, piece in enumerate(pieces, 1):
        put = bucket.upload_part(key, upload, number * 2, piece)
        parts.append(PartInfo(number * 2, put.etag, part_crc=put.crc, size=len(piece)))
    done = bucket.complete_multipart_upload(key, upload, parts)
    got = bucket.get_object(key)
    assert got.read() == b"".join(pieces)
    assert got.client_crc == got.server_crc
    assert got.headers["Content-Type"] == "video/quicktime"
    assert got.headers["x-oss-object-type"] == "Multipart"
    assert got.etag == done.etag
    assert got.etag.endswith("-4")
    across = bucket.get_object(key, byte_range=(149_998, 150_001))
    assert across.read() == b"\x00\x00\x01\x01"
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.complete_multipart_upload(key, upload, parts)
    bucket.delete_object(key)


def test_parts_are_listed_page_by_page_and_a_part_sent_again_replaces_the_first(
    service: Service, bucket: oss2.Bucket
) -> None:
    key = service.key("paged")
    upload = bucket.init_multipart_upload(key).upload_id
    assert bucket.list_parts(key, upload).parts == []
    for number in (1, 2, 3, 7, 10_000):
        bucket.upload_part(key, upload, number, b"old")
    bucket.upload_part(key, upload, 3, b"newer")
    seen, marker = [], ""
    for _ in range(10):
        page = bucket.list_parts(key, upload, marker=marker, max_parts=2)
        seen += [(part.part_number, part.size) for part in page.parts]
        if not page.is_truncated:
            break
        marker = page.next_marker
    assert seen == [(1, 3), (2, 3), (3, 5), (7, 3), (10_000, 3)]
    bucket.abort_multipart_upload(key, upload)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.list_parts(key, upload)


def test_complete_refuses_what_does_not_fit(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("refused")
    upload = bucket.init_multipart_upload(key).upload_id
    small = PartInfo(1, bucket.upload_part(key, upload, 1, b"x" * 102_399).etag)
    second = PartInfo(2, bucket.upload_part(key, upload, 2, b"y").etag)
    cases = (
        ([small, second], "EntityTooSmall"),
        ([small, small], "InvalidPartOrder"),
        ([PartInfo(1, second.etag)], "InvalidPart"),
        ([PartInfo(3, small.etag)], "InvalidPart"),
    )
    for parts, code in cases:
        with pytest.raises(oss2.exceptions.ServerError) as refused:
            bucket.complete_multipart_upload(key, upload, parts)
        assert (refused.value.status, refused.value.code) == (400, code)
    assert bucket.complete_multipart_upload(key, upload, [small]).status == 200
    assert bucket.head_object(key).content_length == 102_399
    bucket.delete_object(key)


def test_a_part_number_out_of_bounds_is_refused(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("numbers")
    upload = bucket.init_multipart_upload(key).upload_id
    for number in (0, 10_001):
        with pytest.raises(oss2.exceptions.InvalidArgument):
            bucket.upload_part(key, upload, number, b"x")
    bucket.abort_multipart_upload(key, upload)


def test_complete_all_takes_whatever_parts_are_there(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("all")
    upload = bucket.init_multipart_upload(key).upload_id
    bucket.upload_part(key, upload, 5, b"b" * 102_400)
    bucket.upload_part(key, upload, 9, b"c")
    bucket.complete_multipart_upload(key, upload, None, headers={"x-oss-complete-all": "yes"})
    assert bucket.get_object(key).read() == b"b" * 102_400 + b"c"
    bucket.delete_object(key)


def test_unfinished_uploads_are_listed(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("unfinished")
    ids = sorted(bucket.init_multipart_upload(key).upload_id for _ in range(3))
    listed, first = [], bucket.list_multipart_uploads(prefix=key, max_uploads=2)
    listed += first.upload_list
    assert first.is_truncated
    rest = bucket.list_multipart_uploads(
        prefix=key, key_marker=first.next_key_marker, upload_id_marker=first.next_upload_id_marker
    )
    assert not rest.is_truncated
    listed += rest.upload_list
    assert sorted(upload.upload_id for upload in listed) == ids
    for upload in listed:
        bucket.abort_multipart_upload(upload.key, upload.upload_id)
    assert bucket.list_multipart_uploads(prefix=key).upload_list == []


def test_objects_are_listed_with_prefix_delimiter_and_pages(service: Service, bucket: oss2.Bucket) -> None:
    root = service.key("")
    names = ["a", "b/1", "b/2", "c/1", "d", "e ü/1"]
    for name in names:
        bucket.put_object(root + name, b"x")
    seen, groups, token = [], [], ""
    for _ in range(10):
        page = bucket.list_objects_v2(prefix=root, delimiter="/", max_keys=2, continuation_token=token)
        assert len(page.object_list) + len(page.prefix_list) <= 2
        seen += [found.key.removeprefix(root) for found in page.object_list]
        groups += [found.removeprefix(root) for found in page.prefix_list]
        if not page.is_truncated:
            break
        token = page.next_continuation_token
    assert (seen, groups) == (["a", "d"], ["b/", "c/", "e ü/"])
    everything = bucket.list_objects_v2(prefix=root, start_after=root + "b/1")
    assert [found.key.removeprefix(root) for found in everything.object_list] == names[2:]
    deleted = bucket.batch_delete_objects([root + name for name in names])
    assert sorted(deleted.deleted_keys) == sorted(root + name for name in names)
    assert bucket.list_objects_v2(prefix=root).object_list == []


def test_a_signed_get_url_serves_ranges_and_header_overrides(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("tanz ü.mp4")
    bucket.put_object(key, b"0123456789")
    disposition = 'attachment; filename="dance 1.mp4"'
    url = bucket.sign_url("GET", key, 60, params={"response-content-disposition": disposition}, slash_safe=True)
    whole = requests.get(url, timeout=10)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["Content-Disposition"] == disposition
    part = requests.get(url, headers={"Range": "bytes=2-4"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"234")
    bucket.delete_object(key)


def test_a_signed_put_url_takes_exactly_the_signed_type(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("put")
    url = bucket.sign_url("PUT", key, 60, headers={"Content-Type": "video/mp4"}, slash_safe=True)
    assert requests.put(url, data=b"x", headers={"Content-Type": "video/avi"}, timeout=10).status_code == 403
    assert requests.put(url, data=b"x", timeout=10).status_code == 403
    assert requests.put(url, data=b"x", headers={"Content-Type": "video/mp4"}, timeout=10).status_code == 200
    assert bucket.head_object(key).content_type == "video/mp4"
    bucket.delete_object(key)


def test_signed_part_urls_upload_a_multipart(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("by-browser")
    upload = bucket.init_multipart_upload(key).upload_id
    for number, piece in ((1, b"a" * 200_000), (2, b"b" * 10)):
        params = {"uploadId": upload, "partNumber": str(number)}
        url = bucket.sign_url("PUT", key, 60, params=params, slash_safe=True)
        put = requests.put(url, data=piece, timeout=10)
        assert (put.status_code, put.headers["ETag"]) == (200, f'"{hashlib.md5(piece).hexdigest().upper()}"')
    listed = bucket.list_parts(key, upload)
    bucket.complete_multipart_upload(key, upload, listed.parts)
    assert bucket.head_object(key).content_length == 200_010
    bucket.delete_object(key)


def test_a_wrong_md5_is_refused(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("digest")
    wrong = base64.b64encode(hashlib.md5(b"something else").digest()).decode()
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.put_object(key, b"this", headers={"Content-MD5": wrong})
    assert (refused.value.status, refused.value.code) == (400, "InvalidDigest")
    assert not bucket.object_exists(key)


def test_a_wrong_region_is_named_in_the_refusal(service: Service) -> None:
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        service.oss(region="cn-hangzhou").get_bucket_info()
    assert (refused.value.status, refused.value.code, refused.value.ec) == (400, "InvalidArgument", "0002-00000226")


def test_wrong_keys_are_refused(service: Service) -> None:
    for key_id, secret, code in (
        (service.access_key_id, "wrong", "SignatureDoesNotMatch"),
        ("nobody", service.access_key_secret, "InvalidAccessKeyId"),
    ):
        auth = oss2.AuthV4(key_id, secret)
        bucket = oss2.Bucket(auth, service.oss_endpoint, service.bucket, region=service.region)
        with pytest.raises(oss2.exceptions.ServerError) as refused:
            bucket.get_object("any")
        assert (refused.value.status, refused.value.code) == (403, code)


def test_an_anonymous_caller_is_refused(service: Service) -> None:
    bucket = oss2.Bucket(oss2.AnonymousAuth(), service.oss_endpoint, service.bucket)
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("any")


def test_a_bucket_that_does_not_exist_is_said_so(service: Service) -> None:
    bucket = oss2.Bucket(
        oss2.AuthV4(service.access_key_id, service.access_key_secret),
        service.oss_endpoint,
        f"{service.bucket}-not-there",
        region=service.region,
    )
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        bucket.get_bucket_info()


def test_cors_rules_are_kept_and_removed(service: Service, bucket: oss2.Bucket) -> None:
    if service.live:
        pytest.skip("would change the rules of a bucket in use")
    rule = CorsRule(["https://studio.example"], ["PUT", "GET"], ["*"], ["ETag", "x-oss-request-id"], 600)
    bucket.put_bucket_cors(BucketCors([rule]))
    kept = bucket.get_bucket_cors().rules[0]
    assert (kept.allowed_origins, kept.allowed_methods) == (["https://studio.example"], ["PUT", "GET"])
    assert (kept.allowed_headers, kept.expose_headers) == (["*"], ["ETag", "x-oss-request-id"])
    assert kept.max_age_seconds == 600
    bucket.delete_bucket_cors()
    with pytest.raises(oss2.exceptions.NoSuchCors):
        bucket.get_bucket_cors()


def test_lifecycle_rules_are_kept_and_removed(service: Service, bucket: oss2.Bucket) -> None:
    if service.live:
        pytest.skip("would change the rules of a bucket in use")
    rules = [
        LifecycleRule(
            "abort", "clips/", status=LifecycleRule.ENABLED, abort_multipart_upload=AbortMultipartUpload(days=1)
        ),
        LifecycleRule("expire", "tmp/", status=LifecycleRule.DISABLED, expiration=LifecycleExpiration(days=7)),
    ]
    bucket.put_bucket_lifecycle(BucketLifecycle(rules))
    kept = bucket.get_bucket_lifecycle().rules
    assert [(rule.id, rule.prefix, rule.status) for rule in kept] == [
        ("abort", "clips/", "Enabled"),
        ("expire", "tmp/", "Disabled"),
    ]
    assert kept[0].abort_multipart_upload.days == 1
    assert kept[1].expiration.days == 7
    bucket.delete_bucket_lifecycle()
    with pytest.raises(oss2.exceptions.NoSuchLifecycle):
        bucket.get_bucket_lifecycle()


def test_abort_in_a_lifecycle_rule_needs_a_time(service: Service, bucket: oss2.Bucket) -> None:
    rule = LifecycleRule("x", "", status=LifecycleRule.ENABLED, abort_multipart_upload=AbortMultipartUpload())
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.put_bucket_lifecycle(BucketLifecycle([rule]))
    assert (refused.value.status, refused.value.ec) == (400, "0014-00000073")


def test_a_large_body_streams_both_ways(service: Service, bucket: oss2.Bucket) -> None:
    key = service.key("large")
    piece = hashlib.sha256(b"seed").digest() * (MB // 32)

    def pieces() -> Iterator[bytes]:
        for _ in range(8):
            yield piece

    bucket.put_object(key, pieces())  # without a length: chunked transfer encoding
    assert bucket.head_object(key).content_length == 8 * MB
    got = bucket.get_object(key)
    digest = hashlib.sha256()
    for chunk in got:
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(piece * 8).digest()
    assert got.client_crc == got.server_crc
    bucket.delete_object(key)
