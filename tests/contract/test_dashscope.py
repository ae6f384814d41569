"""The official SDK, by its classic class, drives the service unmodified. A live run submits clips that are refused."""

import time
from http import HTTPStatus
from typing import Any

import pytest
import requests
from dashscope.client.base_api import BaseAsyncApi

from tests.clips import clip_bytes
from tests.contract.service import Service
from tests.sandbox import Sandbox

# The SDKs leave their connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MODEL = "animate-anyone-template-gen2"
PATH = "/services/aigc/image2video/aa-template-generation/"


class Templates:
    """The calls of the product, through the SDK."""

    def __init__(self, service: Service, api_key: str | None = None) -> None:
        self._how = {"api_key": api_key or service.api_key, "base_address": service.api_url}

    def submit(self, url: str | None, model: str = MODEL) -> Any:
        """One task."""
        return BaseAsyncApi.async_call(
            model=model,
            input={} if url is None else {"video_url": url},
            task_group="aigc",
            task="image2video",
            function="aa-template-generation/",
            **self._how,
        )

    def fetch(self, task: Any) -> Any:
        """Its state."""
        return BaseAsyncApi.fetch(task, **self._how)

    def wait(self, task: Any) -> Any:
        """Its end, as the SDK waits for it: by whole seconds."""
        return BaseAsyncApi.wait(task, **self._how)

    def end_of(self, task: Any) -> Any:
        """Its end, as soon as it is there."""
        for _ in range(3000):
            found = self.fetch(task)
            if found.output["task_status"] not in ("PENDING", "RUNNING"):
                return found
            time.sleep(0.05)
        raise AssertionError("the task did not end")

    def cancel(self, task: Any) -> Any:
        """Take it back."""
        return BaseAsyncApi.cancel(task, **self._how)

    def list(self, **options: Any) -> Any:
        """All of the account."""
        return BaseAsyncApi.list(**options, **self._how)


@pytest.fixture
def templates(service: Service) -> Templates:
    """The SDK with the right key."""
    return Templates(service)


def put_clip(service: Service, data: bytes | None = None) -> str:
    """A signed address of a small good clip (or of these bytes)."""
    bucket, key = service.oss(), service.key("clip.mp4")
    bucket.put_object(key, clip_bytes() if data is None else data)
    url: str = bucket.sign_url("GET", key, 600, slash_safe=True)
    return url


def test_a_good_clip_becomes_a_template(service: Service, templates: Templates) -> None:
    if service.live:
        pytest.skip("the generated clip shows no person: use the product's own live run for a whole task")
    submitted = templates.submit(put_clip(service))
    assert submitted.status_code == HTTPStatus.OK
    assert submitted.output["task_status"] == "PENDING"
    done = templates.wait(submitted)
    assert done.output["task_status"] == "SUCCEEDED"
    assert done.output["template_id"].startswith("AACT.")
    assert done.usage == {"video_duration": 2.5, "video_ratio": "standard"}
    assert done.request_id
    for name in ("submit_time", "scheduled_time", "end_time"):
        assert len(done.output[name]) == len("2026-11-22 18:30:00.123")


def test_a_refused_clip_fails_in_the_task_with_code_and_message(service: Service, templates: Templates) -> None:
    done = templates.end_of(templates.submit(put_clip(service, b"<html>no video</html>" * 100)))
    assert done.status_code == HTTPStatus.OK
    assert done.code is None
    assert done.output["task_status"] == "FAILED"
    assert done.output["code"] == "InvalidFile.Openerror"
    assert done.output["message"]
    assert "template_id" not in done.output


def test_the_list_holds_the_task_but_no_template_id(service: Service, templates: Templates) -> None:
    submitted = templates.submit(put_clip(service, b"x"))
    templates.end_of(submitted)
    page = templates.list(model_name=MODEL, page_size=5)
    assert page.status_code == HTTPStatus.OK
    row = next(row for row in page.output["data"] if row["task_id"] == submitted.output["task_id"])
    assert row["request_id"] == submitted.request_id
    assert row["model_name"] == MODEL
    assert row["status"] == "FAILED"
    assert row["code"]
    assert row["gmt_create"] <= row["start_time"] <= row["end_time"]
    assert {"api_key_id", "caller_uid", "region", "user_api_unique_key"} <= row.keys()
    assert not {"template_id", "input", "output"} & row.keys()
    assert page.output["page_no"] == 1
    assert page.output["total"] >= 1


def test_the_list_answers_with_and_without_a_slash(service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    for path in ("/tasks", "/tasks/"):
        found = requests.get(service.api_url + path, headers=headers, timeout=10)
        assert found.status_code == HTTPStatus.OK
        assert {"data", "total", "total_page", "page_no", "page_size", "request_id"} <= found.json().keys()


def test_an_unknown_task_is_no_error(templates: Templates) -> None:
    found = templates.fetch("00000000-0000-4000-8000-000000000000")
    assert found.status_code == HTTPStatus.OK
    assert found.output["task_status"] == "UNKNOWN"


def test_a_task_that_ended_cannot_be_cancelled(service: Service, templates: Templates) -> None:
    submitted = templates.submit(put_clip(service, b"x"))
    templates.end_of(submitted)
    refused = templates.cancel(submitted)
    assert (refused.status_code, refused.code) == (400, "UnsupportedOperation")


def test_a_waiting_task_can_be_cancelled(service: Service, templates: Templates, sandbox: Sandbox) -> None:
    if service.live:
        pytest.skip("needs a task that stays PENDING")
    sandbox.settings(running_tasks=0)
    submitted = templates.submit("http://127.0.0.1:9/clip.mp4")
    assert templates.fetch(submitted).output["task_status"] == "PENDING"
    assert templates.cancel(submitted).status_code == HTTPStatus.OK
    assert templates.fetch(submitted).output["task_status"] == "CANCELED"


def test_a_wrong_key_is_refused_everywhere(service: Service) -> None:
    stranger = Templates(service, "sk-wrong")
    for refused in (stranger.submit("http://127.0.0.1:9/x.mp4"), stranger.fetch("x"), stranger.list()):
        assert (refused.status_code, refused.code) == (401, "InvalidApiKey")
        assert refused.request_id


def test_another_model_is_not_found(templates: Templates) -> None:
    refused = templates.submit("http://127.0.0.1:9/x.mp4", model="animate-anyone-template-gen9")
    assert (refused.status_code, refused.code) == (404, "ModelNotFound")


def test_a_missing_address_is_named(templates: Templates) -> None:
    refused = templates.submit(None)
    assert (refused.status_code, refused.code) == (400, "InvalidParameter")
    assert "video_url" in refused.message


def test_a_submit_without_the_async_header_is_refused(service: Service) -> None:
    refused = requests.post(
        service.api_url + PATH,
        json={"model": MODEL, "input": {"video_url": "http://127.0.0.1:9/x.mp4"}},
        headers={"Authorization": f"Bearer {service.api_key}"},
        timeout=10,
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "AccessDenied")
