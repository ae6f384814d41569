"""The system checks: what is wrong with the settings is said at the start, with a way out."""

import pytest

from templategen import checks


def ids(found):
    return [message.id for message in found]


@pytest.mark.parametrize("name", ["DASHSCOPE_API_KEY", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_BUCKET"])
def test_alibaba_configured_in_part_is_an_error_that_names_what_is_missing(settings, name):
    setattr(settings, name, "")
    [error] = checks.alibaba_is_configured_whole()
    assert (error.id, name in error.msg) == ("templategen.E001", True)


def test_a_region_is_needed(settings):
    settings.OSS_REGION = ""
    assert ids(checks.region_is_set()) == ["templategen.E002"]


@pytest.mark.parametrize("seconds", [0, 59, 604_801])
def test_signed_urls_live_a_minute_to_seven_days(settings, seconds):
    settings.TASK_URL_SECONDS = seconds
    assert ids(checks.url_lives_are_possible()) == ["templategen.E003"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"retry": 120}, "templategen.E004"),
        ({"max_attempts": 0}, "templategen.E005"),
        ({"ack_failures": False}, "templategen.E005"),
    ],
)
def test_a_queue_that_would_repeat_work_is_an_error(settings, change, expected):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert ids(checks.queue_repeats_nothing()) == [expected]


def test_the_shipped_settings_pass(settings):
    assert not [*checks.queue_repeats_nothing(), *checks.url_lives_are_possible(), *checks.region_is_set()]


def test_the_sandbox_in_production_is_said(settings):
    settings.USE_SANDBOX = True
    assert ids(checks.production_has_no_sandbox()) == ["templategen.W001"]


@pytest.mark.parametrize(
    "name", ["DASHSCOPE_SLOTS", "UPLOAD_DAYS", "DASHSCOPE_TIMEOUT_SECONDS", "AXES_FAILURE_LIMIT", "PROXIES"]
)
def test_numbers_with_which_nothing_would_work_are_errors(settings, name):
    setattr(settings, name, 0)
    assert ids(checks.numbers_make_sense()) == ["templategen.E007"]


def test_no_workers_is_an_error_and_no_crash(settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "workers": 0}
    assert ids(checks.queue_repeats_nothing()) == ["templategen.E006"]


@pytest.mark.parametrize("key", ["sk a", "sk-ключ", "sk\n"])
def test_a_key_that_cannot_be_one_is_an_error_that_does_not_show_it(settings, key):
    settings.DASHSCOPE_API_KEY = key
    [error] = checks.keys_can_be_sent()
    assert (error.id, key in f"{error.msg}{error.hint}") == ("templategen.E008", False)


def test_https_without_a_trusted_proxy_is_said(settings):
    settings.SITE_URL, settings.BEHIND_PROXY = "https://templates.example.com", False
    assert ids(checks.https_is_told()) == ["templategen.W002"]


@pytest.mark.parametrize("text", ["20", "20/", "/60", "0/60", "-1/60", "20/hour", "many"])
def test_a_limit_that_cannot_be_read_is_an_error_that_names_it(settings, text):
    settings.LIMITS = {"mail": text, "precheck": "600/60", "upload": ""}
    [error] = checks.limits_can_be_read()
    assert (error.id, "LIMIT_MAIL" in error.msg) == ("templategen.E009", True)


def test_staff_without_a_second_step_in_production_are_said(settings):
    settings.USE_SANDBOX, settings.TWO_STEP_FOR_STAFF = False, False
    assert ids(checks.staff_give_a_code()) == ["templategen.W003"]
    settings.TWO_STEP_FOR_STAFF = True
    assert not checks.staff_give_a_code()


def test_mails_that_go_to_the_log_in_production_are_said(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert ids(checks.mails_are_sent()) == ["templategen.W004"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert not checks.mails_are_sent()


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["templates.example.com", "127.0.0.1"], []),
        ([".studio.example.com"], []),
        (["*"], ["templategen.W005"]),
        (["127.0.0.1", ".com"], ["templategen.W005"]),
    ],
)
def test_a_deployed_site_answers_to_its_own_names_only(settings, hosts, found):
    settings.ALLOWED_HOSTS = hosts
    assert ids(checks.hosts_are_named()) == found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUOTA_TEMPLATES_PER_MONTH", -1),
        ("QUOTA_SECONDS_PER_MONTH", 10**30),
        ("QUOTA_STORAGE_BYTES", 10**18),
        ("QUOTA_TASKS_AT_ONCE", -5),
        ("UNFINISHED_UPLOADS", 0),
        ("UNFINISHED_UPLOADS", -1),
        ("TRASH_DAYS", 10**9),
        ("UPLOAD_DAYS", 10**9),
    ],
)
def test_a_number_that_no_counter_holds_is_one_error_that_names_it(settings, name, value):
    assert checks.numbers_make_sense() == []
    setattr(settings, name, value)
    [error] = checks.numbers_make_sense()
    assert name in error.msg


@pytest.mark.parametrize(
    ("name", "value"),
    [("QUOTA_STORAGE_BYTES", 0), ("TRASH_DAYS", 0), ("QUOTA_TASKS_AT_ONCE", None)],
)
def test_none_at_all_and_no_limit_are_fine(settings, name, value):
    setattr(settings, name, value)
    assert checks.numbers_make_sense() == []
