"""Uploads by the browser: JSON here, bytes to OSS, which is the sandbox as a real process."""

import json
import secrets
from typing import Any

import pytest
import requests
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from templategen.clients.build import storage
from templategen.clients.storage import UploadGoneError
from templategen.models import ActionTemplate, Clip
from templategen.states import State
from tests.factories import make_template
from tests.people import account_of, make_person
from tests.product import Product
from tests.sandbox import Sandbox

URL = "/a/studio/uploads/"
PART = 8 * 1024 * 1024
DATA = secrets.token_bytes(PART + 1000)
BEGIN = {"file_name": "dance.mp4", "size": len(DATA), "fingerprint": "edges-1"}


@pytest.fixture
def web(client: Client, owner: User, product: Product) -> Client:
    client.force_login(owner)
    return client


def post(web: Client, url: str, body: object) -> HttpResponse:
    return web.post(url, json.dumps(body), content_type="application/json", headers={"Accept": "application/json"})


def begin(web: Client, **values: object) -> dict[str, Any]:
    answer = post(web, URL, {**BEGIN, **values})
    assert answer.status_code == 201, answer.content
    return answer.json()["upload"]


def put(web: Client, upload: dict[str, Any], *numbers: int) -> None:
    """The browser's part: ask for URLs, PUT the bytes."""
    urls = post(web, upload["parts_url"], {"numbers": list(numbers)}).json()["urls"]
    for number in numbers:
        data = DATA[(number - 1) * PART : number * PART]
        assert requests.put(urls[str(number)], data=data, timeout=10).status_code == 200


def row(upload: dict[str, Any]) -> ActionTemplate:
    return ActionTemplate.objects.select_related("clip").get(public_id=upload["id"])


def test_a_file_goes_up_in_parts_and_is_handed_to_the_check(web: Client, owner: User) -> None:
    upload = begin(web)
    assert (upload["part_size"], upload["part_count"], upload["missing"]) == (PART, 2, [1, 2])
    put(web, upload, 1, 2)
    answer = post(web, upload["finish_url"], {})
    assert answer.status_code == 200
    assert answer.json()["upload"]["state"] == State.CHECKING
    template = row(upload)
    assert (template.name, template.clip.uploaded_by, template.state) == ("dance", owner, State.CHECKING)
    assert storage().read_range(template.clip.object_key, PART, len(DATA)) == DATA[PART:]
    assert "dance" not in template.clip.object_key


def test_the_first_addresses_come_with_the_beginning(web: Client) -> None:
    urls = begin(web)["urls"]
    assert sorted(urls) == ["1", "2"]
    assert requests.put(urls["1"], data=DATA[:PART], timeout=10).status_code == 200


def test_finishing_twice_is_fine(web: Client) -> None:
    upload = begin(web)
    put(web, upload, 1, 2)
    assert [post(web, upload["finish_url"], {}).status_code for _ in range(2)] == [200, 200]


def test_finishing_early_names_the_missing_parts(web: Client) -> None:
    upload = begin(web)
    put(web, upload, 2)
    answer = post(web, upload["finish_url"], {})
    assert answer.status_code == 409
    assert answer.json()["error"]["missing"] == [1]
    assert row(upload).state == State.UPLOADING


def test_a_part_of_the_wrong_size_is_missing(web: Client) -> None:
    upload = begin(web)
    put(web, upload, 1, 2)
    urls = post(web, upload["parts_url"], {"numbers": [1]}).json()["urls"]
    requests.put(urls["1"], data=b"short", timeout=10)
    assert post(web, upload["finish_url"], {}).json()["error"]["missing"] == [1]


def test_after_a_reload_the_server_says_what_is_missing(web: Client) -> None:
    begun = begin(web)
    put(web, begun, 2)
    [upload] = web.get(URL).json()["uploads"]
    assert (upload["id"], upload["fingerprint"]) == (begun["id"], "edges-1")
    assert web.get(upload["url"]).json()["upload"]["missing"] == [1]


def test_only_what_a_browser_of_mine_can_go_on_with_is_listed(web: Client, owner: User) -> None:
    account = account_of(owner)
    colleague = make_person("colleague@example.com", "studio")
    mine = begin(web)
    for uploaded_by, fingerprint in ((colleague, "edges-2"), (owner, "")):
        template = make_template(account, State.UPLOADING)
        Clip.objects.filter(pk=template.clip.pk).update(uploaded_by=uploaded_by, fingerprint=fingerprint)
    make_template(account, State.READY)
    assert [upload["id"] for upload in web.get(URL).json()["uploads"]] == [mine["id"]]


def test_of_many_unfinished_uploads_the_newest_are_listed(web: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("templategen.web.uploads.LISTED", 2)
    begun = [begin(web, fingerprint=f"edges-{number}")["id"] for number in range(3)]
    assert [upload["id"] for upload in web.get(URL).json()["uploads"]] == [begun[2], begun[1]]


@pytest.mark.parametrize("size", [0, 200_000_000, 5_000_000_000])
def test_a_size_outside_the_limit_is_refused_before_anything_is_made(web: Client, size: int) -> None:
    answer = post(web, URL, {**BEGIN, "size": size})
    assert answer.status_code == 422
    [finding] = answer.json()["error"]["findings"]
    assert finding["fix"]
    assert not ActionTemplate.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {**BEGIN, "size": "100"},
        {**BEGIN, "size": True},
        {**BEGIN, "size": 1.5},
        {**BEGIN, "size": -1},
        {**BEGIN, "size": 2**70},
        {**BEGIN, "file_name": ""},
        {**BEGIN, "file_name": 5},
        {**BEGIN, "file_name": "x" * 2000},
        {**BEGIN, "fingerprint": ["x"]},
        {**BEGIN, "fingerprint": "x" * 101},
        {**BEGIN, "file_name": "a\0b.mp4"},
    ],
)
def test_a_beginning_that_is_not_as_agreed_is_refused(web: Client, body: object) -> None:
    answer = post(web, URL, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["text"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"x" * 3_000_000])
def test_a_body_that_is_no_json_is_refused(web: Client, body: bytes) -> None:
    answer = web.post(URL, body, content_type="application/json", headers={"Accept": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("numbers", [None, [], "1", ["1"], [True], [1.0], list(range(1, 34))])
def test_part_numbers_that_are_not_as_agreed_are_refused(web: Client, numbers: object) -> None:
    upload = begin(web)
    assert post(web, upload["parts_url"], {"numbers": numbers}).status_code == 400


@pytest.mark.parametrize("number", [0, -1, 3, 10**12])
def test_no_url_is_signed_for_a_part_that_there_is_not(web: Client, number: int) -> None:
    upload = begin(web)
    assert post(web, upload["parts_url"], {"numbers": [1, number]}).status_code == 422


def test_canceling_throws_the_parts_away(web: Client) -> None:
    upload = begin(web)
    put(web, upload, 1)
    clip = row(upload).clip
    assert post(web, upload["cancel_url"], {}).status_code == 200
    with pytest.raises(UploadGoneError):
        storage().list_parts(clip.object_key, clip.upload_id)
    assert web.get(URL).json()["uploads"] == []
    assert post(web, upload["finish_url"], {}).status_code == 404


def test_canceling_by_a_plain_form_leads_back_to_the_gallery(web: Client) -> None:
    upload = begin(web)
    answer = web.post(upload["cancel_url"])
    assert answer.status_code == 302
    assert answer["Location"] == "/a/studio/"
    assert row(upload).state == State.CANCELED


def test_what_is_on_its_way_is_not_canceled_as_an_upload(web: Client, owner: User) -> None:
    template = make_template(account_of(owner), State.QUEUED)
    assert post(web, f"{URL}{template.public_id}/cancel/", {}).status_code == 409
    template.refresh_from_db()
    assert template.state == State.QUEUED


def test_a_finished_upload_signs_nothing_more(web: Client) -> None:
    upload = begin(web)
    put(web, upload, 1, 2)
    post(web, upload["finish_url"], {})
    assert post(web, upload["parts_url"], {"numbers": [1]}).status_code == 409


def test_a_finished_upload_says_so_without_asking_the_storage(web: Client, sandbox: Sandbox) -> None:
    upload = begin(web)
    put(web, upload, 1, 2)
    post(web, upload["finish_url"], {})
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable", times=None)
    answer = web.get(upload["url"])
    assert answer.status_code == 200
    assert answer.json()["upload"]["state"] == State.CHECKING
    assert "missing" not in answer.json()["upload"]
    sandbox.clear_faults()


def test_a_storage_that_does_not_answer_is_said_so(web: Client, sandbox: Sandbox) -> None:
    sandbox.fault("oss", "status", status=503, code="ServiceUnavailable")
    answer = post(web, URL, BEGIN)
    assert answer.status_code == 503
    assert answer.json()["error"]["text"]
    sandbox.clear_faults()
    assert web.get(URL).json()["uploads"] == []


def test_strangers_and_passers_by_get_nothing(web: Client, stranger: User) -> None:
    upload = begin(web)
    addresses = [("get", URL), ("post", URL), ("get", upload["url"])]
    addresses += [("post", upload[name]) for name in ("parts_url", "finish_url", "cancel_url")]
    other = Client()
    for expected in (401, 404):
        for method, url in addresses:
            answer = getattr(other, method)(url, headers={"Accept": "application/json"})
            assert answer.status_code == expected, url
        other.force_login(stranger)
    assert other.get(f"/a/elsewhere/uploads/{upload['id']}/").status_code == 404
