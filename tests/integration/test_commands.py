"""setup_oss, doctor and make_template, against the running sandbox."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from oss2.models import CorsRule, LifecycleExpiration, LifecycleRule

from accounts.first import make_first
from accounts.models import Account, Quota, User
from templategen import credential_status, restored
from templategen.clients import build
from templategen.clients.build import storage
from templategen.clients.storage import StorageError
from templategen.management.commands import make_template
from templategen.management.mending import storage_mend
from templategen.models import ActionTemplate
from templategen.pipeline_models import Lease
from templategen.states import State
from tests import running
from tests.clips import make_clip
from tests.conftest import point_at
from tests.people import make_person
from tests.ports import free_port
from tests.product import Product
from tests.sandbox import Sandbox


@pytest.fixture
def bucket(db: None, sandbox: Sandbox, settings: Any) -> Sandbox:
    """The sandbox's bucket, without rules."""
    point_at(sandbox, settings)
    storage().set_cors([CorsRule(["https://nobody.example"], ["GET"])])
    storage().set_lifecycle([LifecycleRule("other", "logs/", expiration=LifecycleExpiration(days=9))])
    return sandbox


def run(name: str, *arguments: str) -> list[str]:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue().splitlines()


def doctor() -> dict[str, str]:
    """Its lines by the step's name; the exit status under "exit"."""
    out, status = io.StringIO(), 0
    try:
        call_command("doctor", stdout=out)
    except SystemExit as end:
        status = int(str(end.code))
    lines = {line[5:].split(" – ")[0]: line for line in out.getvalue().splitlines()[:-1]}
    return {**lines, "exit": str(status)}


# --- setup_oss ---


def test_setup_sets_both_rules_keeps_those_of_others_and_changes_nothing_the_second_time(bucket: Sandbox) -> None:
    first = run("setup_oss")
    assert len(first) == 2
    assert [rule.allowed_origins for rule in storage().get_cors()] == [
        ["http://127.0.0.1:8000"],
        ["https://nobody.example"],
    ]
    assert {rule.id for rule in storage().get_lifecycle()} == {"other", "templategen-abort-unfinished"}
    assert run("setup_oss") == ["Bucket templategen is set up already."]


def test_setup_says_when_the_bucket_has_no_room_for_a_rule(bucket: Sandbox) -> None:
    storage().set_cors([CorsRule([f"https://{number}.example"], ["GET"]) for number in range(10)])
    with pytest.raises(CommandError, match="10 CORS rules already"):
        run("setup_oss")


def test_setup_says_why_oss_refused(bucket: Sandbox, settings: Any) -> None:
    settings.OSS_BUCKET = "no-such-bucket"
    build.forget()
    with pytest.raises(CommandError, match=r"NoSuchBucket.*OSS_BUCKET names no bucket"):
        run("setup_oss")


# --- where the surroundings are at fault ---


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "migrations: run"),
        ({"DATABASE_URL": "postgres://x:y@127.0.0.1:1/z"}, "look at DATABASE_URL"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "look at REDIS_URL"),
    ],
    ids=["not migrated", "no database", "no redis"],
)
def test_a_command_says_what_to_mend_in_one_line(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    done = running.run(tmp_path, "sweep", **changed)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- doctor ---


def test_the_doctor_finds_all_well_and_leaves_nothing_behind(bucket: Sandbox) -> None:
    run("setup_oss")
    tasks = len(bucket.tasks())
    found = doctor()
    assert found.pop("exit") == "0"
    assert found.pop("Worker").startswith("warn Worker – no worker has run yet – start")
    assert all(line.startswith("ok ") for line in found.values()), found
    assert len(found) == 19
    assert len(bucket.tasks()) == tasks
    assert not list(storage()._bucket.list_objects_v2("doctor/").object_list)


def test_the_doctor_warns_of_a_paused_credential_and_does_not_say_all_is_well(bucket: Sandbox) -> None:
    run("setup_oss")
    credential_status.pause(None, code="Arrearage", message="overdue")
    out = run("doctor")
    assert any(line.startswith("warn Pauses – paused: site (Arrearage") for line in out), out
    assert out[-1] == "Nothing fails; 2 warnings."


def test_the_doctor_does_not_send_to_a_worker_that_would_refuse(bucket: Sandbox) -> None:
    Lease.objects.create(name=restored.LEASE, owner=restored.BACKUP, until=timezone.now())
    found = doctor()
    assert found["exit"] == "1"
    assert found["Worker"].startswith("FAIL")
    assert "after_restore" in found["Worker"]


def test_the_doctor_sends_to_setup_where_the_rules_are_missing(bucket: Sandbox) -> None:
    found = doctor()
    assert found["exit"] == "1"
    assert found["Browser may upload (CORS)"].startswith("FAIL")
    assert "setup_oss" in found["Browser may upload (CORS)"]
    assert found["Unfinished uploads are thrown away"].startswith("warn")
    assert not storage()._bucket.list_multipart_uploads("doctor/").upload_list


@pytest.mark.parametrize(
    ("name", "value", "step", "words"),
    [
        ("OSS_ACCESS_KEY_ID", "nobody", "OSS key, signature V4, bucket", "OSS_ACCESS_KEY_ID names no enabled key"),
        ("OSS_ACCESS_KEY_SECRET", "wrong", "OSS key, signature V4, bucket", "OSS_ACCESS_KEY_SECRET does not belong"),
        ("OSS_BUCKET", "no-such-bucket", "OSS key, signature V4, bucket", "OSS_BUCKET names no bucket"),
        ("OSS_REGION", "cn-hangzhou", "OSS key, signature V4, bucket", "set OSS_REGION"),
        ("OSS_ENDPOINT", "http://127.0.0.1:1", "OSS reachable", "no answer from http://127.0.0.1:1"),
        ("OSS_PUBLIC_ENDPOINT", "http://127.0.0.1:1", "Part sent by a signed URL", "check OSS_PUBLIC_ENDPOINT"),
        ("DASHSCOPE_API_KEY", "sk-other", "DashScope key, base URL and workspace", "DASHSCOPE_API_KEY is wrong"),
        ("DASHSCOPE_BASE_URL", "http://127.0.0.1:1/api/v1", "DashScope key, base URL and workspace", "no connection"),
    ],
)
def test_the_doctor_names_the_setting_to_mend(
    bucket: Sandbox, settings: Any, name: str, value: str, step: str, words: str
) -> None:
    run("setup_oss")
    setattr(settings, name, value)
    build.forget()
    found = doctor()
    assert found["exit"] == "1"
    assert found[step].startswith("FAIL"), found
    assert words in found[step]


def test_the_doctor_knows_that_another_region_of_dashscope_has_no_templates(bucket: Sandbox, settings: Any) -> None:
    settings.USE_SANDBOX = False
    settings.DASHSCOPE_BASE_URL = "https://dashscope-intl.aliyuncs.com/api/v1"
    found = doctor()
    assert "is not in Beijing" in found["DashScope region"]
    assert found["DashScope key, base URL and workspace"].startswith("skip")


def test_the_doctor_knows_a_bucket_closed_on_the_default_host(bucket: Sandbox) -> None:
    run("setup_oss")
    bucket.fault("oss-part", "status", status=400, code="PublicEndpointForbidden", message="use CNAME instead", times=1)
    line = doctor()["Part sent by a signed URL"]
    assert line.startswith("FAIL")
    assert "OSS_PUBLIC_ENDPOINT" in line


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"code": "AccessDenied", "ec": "0002-00000080"}, "V1 signature"),
        ({"code": "AccessDenied", "message": "addressed using the specified endpoint"}, "OSS_REGION"),
        ({"code": "AccessDenied"}, "oss:PutObject"),
        ({"code": "RequestTimeTooSkewed"}, "clock"),
        ({"code": "SomethingNew", "request_id": "6f"}, "request ID 6f"),
    ],
)
def test_each_refusal_of_oss_has_a_way_out(facts: dict[str, str], words: str) -> None:
    problem = StorageError(**{"status": 403, "message": "", **facts})  # type: ignore[arg-type]
    assert words in storage_mend(problem, permission="oss:PutObject")


# --- make_template ---


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "wave.mp4")


@pytest.fixture
def while_waiting(product: Product, owner: User, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the background work go on in the pauses of make_template."""

    def install() -> None:
        monkeypatch.setattr(make_template.time, "sleep", lambda _seconds: product.one_round())

    return install


def test_the_template_id_stands_alone_on_standard_output(
    while_waiting: Callable[[], None], clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    while_waiting()
    call_command("make_template", str(clip), "--name", "Wave", "--wait")
    printed = capsys.readouterr()
    template = ActionTemplate.objects.get()
    assert printed.out == template.template_id + "\n"
    assert template.name == "Wave"
    assert f"/a/studio/templates/{template.public_id}/" in printed.err
    assert "Uploading" in printed.err


def test_without_wait_it_ends_after_the_upload(product: Product, owner: User, clip: Path, capsys: Any) -> None:
    call_command("make_template", str(clip))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ActionTemplate.objects.get().state == State.CHECKING


def test_a_clip_that_breaks_a_limit_is_refused_before_a_byte_is_sent(
    product: Product, owner: User, tmp_path: Path
) -> None:
    slow = make_clip(tmp_path / "slow.mp4", fps=10)
    with pytest.raises(CommandError, match=r"Frame rate: 10\b.*limit: .*24") as refused:
        call_command("make_template", str(slow), "--wait")
    assert refused.value.returncode == make_template.REFUSED
    assert not ActionTemplate.objects.exists()


def test_a_template_that_the_service_cannot_make_is_a_failure_with_the_raw_code(
    while_waiting: Callable[[], None], sandbox: Sandbox, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    while_waiting()
    sandbox.fault("task", "fail", code="InvalidFile.FullBody", message="Human not fullbody")
    with pytest.raises(SystemExit) as ended:
        call_command("make_template", str(clip), "--wait")
    assert ended.value.code == make_template.FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "InvalidFile.FullBody" in printed.err


def test_storage_that_is_away_is_said_so(product: Product, owner: User, clip: Path, settings: Any) -> None:
    settings.OSS_ENDPOINT = settings.OSS_PUBLIC_ENDPOINT = f"http://127.0.0.1:{free_port()}"
    build.forget()
    with pytest.raises(CommandError, match="storage service") as refused:
        call_command("make_template", str(clip))
    assert refused.value.returncode == make_template.STORAGE


def test_a_full_quota_has_a_status_of_its_own(product: Product, owner: User, clip: Path) -> None:
    Quota.objects.create(account=Account.objects.get(), storage_bytes=1)
    with pytest.raises(CommandError, match="storage is full") as refused:
        call_command("make_template", str(clip))
    assert refused.value.returncode == make_template.QUOTA


def test_interrupting_the_wait_says_that_the_job_goes_on(
    product: Product, owner: User, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(make_template.time, "sleep", interrupt)
    with pytest.raises(SystemExit) as ended:
        call_command("make_template", str(clip), "--wait")
    assert ended.value.code == make_template.INTERRUPTED
    assert "the job goes on" in capsys.readouterr().err
    assert ActionTemplate.objects.get().state == State.CHECKING


@pytest.mark.parametrize("what", ["no such file", "a folder", "no such account", "which account"])
def test_wrong_arguments_are_said_so(owner: User, clip: Path, tmp_path: Path, what: str) -> None:
    make_person("other@example.com", "elsewhere")
    arguments = {
        "no such file": [str(tmp_path / "none.mp4"), "--account", "studio"],
        "a folder": [str(tmp_path), "--account", "studio"],
        "no such account": [str(clip), "--account", "nobody"],
        "which account": [str(clip)],
    }[what]
    with pytest.raises(CommandError) as refused:
        call_command("make_template", *arguments)
    assert refused.value.returncode == make_template.USAGE
    if "account" in what:
        assert "elsewhere, studio" in str(refused.value)


# --- the first account ---


def test_the_first_user_is_made_once_and_can_do_everything(db: None) -> None:
    first = make_first()
    assert make_first() == first
    assert User.objects.count() == Account.objects.count() == 1
    assert first.is_superuser
    assert not first.has_usable_password()
    assert list(first.accounts.values_list("slug", flat=True)) == ["studio"]
