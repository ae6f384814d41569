"""alibabacloud-oss-v2, Alibaba's newer SDK, drives the service unmodified: a second pair of eyes on the signatures."""

import datetime

import alibabacloud_oss_v2 as oss
import pytest
import requests

from tests.contract.service import Service

# The SDKs leave their connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def client(service: Service) -> oss.Client:
    """A client of the new SDK."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(
        service.access_key_id, service.access_key_secret
    )
    config.region = service.region
    config.endpoint = service.oss_endpoint
    config.use_path_style = not service.live
    config.retry_max_attempts = 1
    return oss.Client(config)


def refusal(caught: pytest.ExceptionInfo[oss.exceptions.OperationError]) -> tuple[int, str]:
    """Status and code of a refusal."""
    error = caught.value.unwrap()
    return error.status_code, error.code


def test_put_head_get_list_delete(service: Service, client: oss.Client) -> None:
    key = service.key("Ünï code+plus.mp4")
    put = client.put_object(
        oss.PutObjectRequest(bucket=service.bucket, key=key, body=b"0123456789", content_type="video/mp4")
    )
    head = client.head_object(oss.HeadObjectRequest(bucket=service.bucket, key=key))
    assert (head.content_length, head.content_type, head.etag) == (10, "video/mp4", put.etag)
    got = client.get_object(oss.GetObjectRequest(bucket=service.bucket, key=key, range_header="bytes=2-4"))
    assert (got.status_code, got.body.read()) == (206, b"234")
    listed = client.list_objects_v2(oss.ListObjectsV2Request(bucket=service.bucket, prefix=key))
    assert [(found.key, found.size) for found in listed.contents or []] == [(key, 10)]
    assert client.delete_object(oss.DeleteObjectRequest(bucket=service.bucket, key=key)).status_code == 204
    with pytest.raises(oss.exceptions.OperationError) as missing:
        client.get_object(oss.GetObjectRequest(bucket=service.bucket, key=key))
    assert refusal(missing) == (404, "NoSuchKey")


def test_many_objects_are_deleted_at_once(service: Service, client: oss.Client) -> None:
    keys = [service.key(f"{n} & ü") for n in range(3)]
    for key in keys:
        client.put_object(oss.PutObjectRequest(bucket=service.bucket, key=key, body=b"x"))
    gone = client.delete_multiple_objects(
        oss.DeleteMultipleObjectsRequest(bucket=service.bucket, objects=[oss.DeleteObject(key=key) for key in keys])
    )
    assert sorted(str(found.key) for found in gone.deleted_objects or []) == sorted(keys)
    for key in keys:
        assert not client.is_object_exist(service.bucket, key)


def test_a_multipart_upload(service: Service, client: oss.Client) -> None:
    key = service.key("parts")
    begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=service.bucket, key=key))
    etags = {}
    for number, piece in ((1, b"a" * 102_400), (2, b"b")):
        etags[number] = client.upload_part(
            oss.UploadPartRequest(
                bucket=service.bucket, key=key, upload_id=begun.upload_id, part_number=number, body=piece
            )
        ).etag
    listed = client.list_parts(oss.ListPartsRequest(bucket=service.bucket, key=key, upload_id=begun.upload_id))
    assert [(part.part_number, part.size, part.etag) for part in listed.parts or []] == [
        (1, 102_400, etags[1]),
        (2, 1, etags[2]),
    ]

    def complete(numbers: list[int]) -> None:
        parts = [oss.UploadPart(part_number=number, etag=etags[number]) for number in numbers]
        client.complete_multipart_upload(
            oss.CompleteMultipartUploadRequest(
                bucket=service.bucket,
                key=key,
                upload_id=begun.upload_id,
                complete_multipart_upload=oss.CompleteMultipartUpload(parts=parts),
            )
        )

    with pytest.raises(oss.exceptions.OperationError) as unordered:
        complete([2, 1])
    assert refusal(unordered) == (400, "InvalidPartOrder")
    complete([1, 2])
    assert client.head_object(oss.HeadObjectRequest(bucket=service.bucket, key=key)).content_length == 102_401
    client.delete_object(oss.DeleteObjectRequest(bucket=service.bucket, key=key))


def test_an_aborted_upload_is_gone(service: Service, client: oss.Client) -> None:
    key = service.key("aborted")
    begun = client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=service.bucket, key=key))
    client.abort_multipart_upload(
        oss.AbortMultipartUploadRequest(bucket=service.bucket, key=key, upload_id=begun.upload_id)
    )
    with pytest.raises(oss.exceptions.OperationError) as gone:
        client.list_parts(oss.ListPartsRequest(bucket=service.bucket, key=key, upload_id=begun.upload_id))
    assert refusal(gone) == (404, "NoSuchUpload")


def test_presigned_urls_work_for_their_method_only(service: Service, client: oss.Client) -> None:
    key = service.key("presigned ü")
    life = datetime.timedelta(minutes=5)
    put = client.presign(oss.PutObjectRequest(bucket=service.bucket, key=key, content_type="video/mp4"), expires=life)
    assert requests.put(put.url, data=b"clip", headers=put.signed_headers, timeout=10).status_code == 200
    got = client.presign(oss.GetObjectRequest(bucket=service.bucket, key=key), expires=life)
    assert requests.get(got.url, timeout=10).content == b"clip"
    assert requests.head(got.url, timeout=10).status_code == 403
    assert requests.delete(got.url, timeout=10).status_code == 403
    client.delete_object(oss.DeleteObjectRequest(bucket=service.bucket, key=key))
