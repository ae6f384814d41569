"""The owner's page of the account's own API key: checked when saved, shown to nobody, its address one of Alibaba's."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from django.test import Client
from django.urls import reverse

from accounts import credentials
from accounts.models import Account, AccountEvent, Credential
from templategen import credential_status
from templategen.clients.addresses import is_allowed
from templategen.credentials import check_now, learn_owner
from templategen.management.examination import examine
from templategen.management.examine_site import machine_steps
from templategen.pipeline_models import CredentialStatus
from templategen.states import State
from tests.conftest import point_at
from tests.factories import make_template
from tests.people import account_of
from tests.sandbox import Sandbox

OURS, OTHERS = "sk-ours-0123456789", "sk-others-0123456789"


@pytest.fixture(scope="module")
def many_keys(tmp_path_factory):
    keys = [f"--api-key={key}" for key in ("sk-sandbox=sandbox", f"{OURS}=ours", f"{OTHERS}=others")]
    process = Sandbox(tmp_path_factory.mktemp("sandbox"), *keys)
    yield process
    process.stop()


@pytest.fixture
def account(owner, many_keys, settings):
    many_keys.clear_faults()
    point_at(many_keys, settings)
    return account_of(owner)


@pytest.fixture
def web(owner):
    client = Client()
    client.force_login(owner)
    return client


def page_of(account):
    return reverse("web:credential", args=[account.slug])


def save(web, account, key=OURS, **rest):
    return web.post(page_of(account), {"api_key": key, **rest}, follow=True)


def test_a_key_that_works_is_stored_and_never_shown_again(web, account, owner, caplog):
    with caplog.at_level(logging.DEBUG):
        answer = save(web, account)
    row = credentials.in_use(account.pk)
    assert (row.check_result, credentials.secret_of(row)) == (Credential.Check.GOOD, OURS)
    page = web.get(page_of(account)).content.decode()
    for text in (answer.content.decode(), page, caplog.text, repr(vars(row))):
        assert OURS not in text
    assert OURS[-4:] in page
    assert row.fingerprint[:8] in page
    assert row.fingerprint not in page
    event = AccountEvent.objects.get(kind=AccountEvent.Kind.CREDENTIAL_REPLACED)
    assert (event.by, event.about) == (owner, f"…{OURS[-4:]}")


def test_a_key_that_alibaba_refuses_is_not_stored_and_not_put_back(web, account):
    answer = save(web, account, "sk-mistyped-123456")
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "does not take" in text
    assert "InvalidApiKey" in text
    assert "sk-mistyped-123456" not in text
    assert not Credential.objects.exists()


def test_where_the_sandbox_stands_in_the_page_says_whose_keys_work(web, account, settings):
    settings.USE_SANDBOX = True
    assert "It takes only keys of its own: <code>sk-sandbox</code>" in web.get(page_of(account)).content.decode()
    refused = save(web, account, "sk-mistyped-123456").content.decode()
    assert "The sandbox does not take this key" in refused
    assert "InvalidApiKey" in refused
    assert "The sandbox takes the key." in save(web, account).content.decode()
    checked = web.post(reverse("web:check_credential", args=[account.slug]), follow=True).content.decode()
    assert "The sandbox takes the key." in checked


def test_with_alibaba_configured_the_page_names_no_sandbox(web, account, settings):
    settings.USE_SANDBOX = False
    assert "sk-sandbox" not in web.get(page_of(account)).content.decode()
    assert "Alibaba takes the key." in save(web, account).content.decode()


def test_a_refused_replacement_leaves_the_present_key_in_use(web, account):
    save(web, account)
    save(web, account, "sk-mistyped-123456")
    assert credentials.is_same_key(credentials.in_use(account.pk), OURS)


def test_a_service_that_does_not_answer_says_nothing_of_the_key(web, account, many_keys):
    save(web, account)
    many_keys.fault("list", "status", status=500, code="InternalError", times=1)
    answer = save(web, account, OTHERS)
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.content.decode()
    many_keys.fault("list", "status", status=500, code="InternalError", times=1)
    checked = check_now(credentials.in_use(account.pk))
    assert (checked.ok, checked.sure) == (False, False)
    assert credentials.in_use(account.pk).check_result == Credential.Check.GOOD


@pytest.mark.parametrize(
    "address",
    [
        "http://dashscope.aliyuncs.com/api/v1",
        "https://example.com/api/v1",
        "https://dashscope.aliyuncs.com.example.com/api/v1",
        "https://dashscope.aliyuncs.com@example.com/",
        "https://example.com#dashscope.aliyuncs.com",
        "https://127.0.0.1/api/v1",
        "https://[::1]/api/v1",
        "https://169.254.169.254/latest",
        "https://100.100.100.200/latest/meta-data",
        "https://bucket.oss-cn-beijing-internal.aliyuncs.com/",
        "https://dashscope.aliyuncs.com:8443/api/v1",
        "https://dashscope.aliyuncs.com./api/v1",
        "https://dashscope.aliyuncs.com/../x",
        "https://dashscope.aliyuncs.com/api/v1?x=",
        "https://dashscope.aliyuncs.com\\@example.com/",
        "https://dashscope.aliyuncs.com\n/api",
        "https://.cn-beijing.maas.aliyuncs.com/api/v1",
        "https://dashscope.aliyuncs.com:99999/api/v1",
        "file:///etc/passwd",
        "dashscope.aliyuncs.com",
    ],
)
def test_no_address_but_alibabas_and_the_sites_own_is_called(web, account, settings, address):
    hosts = ["dashscope.aliyuncs.com", "*.cn-beijing.maas.aliyuncs.com"]
    assert not is_allowed(address, hosts=hosts, like="https://dashscope.aliyuncs.com/api/v1")
    answer = save(web, account, base_url=address)
    assert answer.status_code == 422
    assert not Credential.objects.exists()


def test_alibabas_documented_hosts_and_the_sites_own_address_are_allowed():
    hosts = ["dashscope.aliyuncs.com", "*.cn-beijing.maas.aliyuncs.com"]
    for address in ("https://dashscope.aliyuncs.com/api/v1", "https://ws-1.cn-beijing.maas.aliyuncs.com:443/api/v1"):
        assert is_allowed(address, hosts=hosts, like="http://proxy:8080/api/v1")
    assert is_allowed("http://proxy:8080/other", hosts=hosts, like="http://proxy:8080/api/v1")
    assert not is_allowed("http://proxy:8081/api/v1", hosts=hosts, like="http://proxy:8080/api/v1")


def test_while_the_sandbox_stands_in_no_real_host_is_called(web, account, many_keys):
    assert save(web, account, base_url="https://dashscope.aliyuncs.com/api/v1").status_code == 422
    assert save(web, account, base_url=many_keys.api_url).status_code == 200
    assert credentials.in_use(account.pk).base_url == many_keys.api_url


class Elsewhere(BaseHTTPRequestHandler):
    """Sends whoever comes on to another address of its own, and writes down who came."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing to say."""


def test_a_redirect_is_not_followed_with_the_key(account, settings):
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.DASHSCOPE_BASE_URL = f"http://127.0.0.1:{server.server_port}/api/v1"
        row = credentials.replace(account, secret=OURS, workspace="", base_url="", alibaba_uid="", by=None)
        checked = check_now(row)
        server.shutdown()
    assert (checked.ok, checked.sure) == (False, False)
    assert [path.split("?")[0] for path in Elsewhere.asked] == ["/api/v1/tasks/"]


@pytest.mark.parametrize(
    "values",
    [
        {"api_key": ""},
        {"api_key": "sk with space"},
        {"api_key": "sk-\r\nX-Evil: 1"},
        {"api_key": "密钥密钥密钥密钥密钥"},
        {"api_key": "k" * 300},
        {"api_key": "sk-\x00ours-12345"},
        {"api_key": OURS, "workspace": "a b\r\nX: 1"},
        {"api_key": OURS, "workspace": "w" * 200},
        {"api_key": OURS, "base_url": "x" * 5000},
    ],
)
def test_what_is_no_key_or_workspace_is_refused_in_words(web, account, values):
    answer = web.post(page_of(account), values)
    assert answer.status_code == 422
    assert not Credential.objects.exists()


def test_a_check_says_what_is_wrong_and_a_good_one_ends_the_pause(web, account, many_keys):
    save(web, account)
    row = credentials.in_use(account.pk)
    credential_status.pause(row.pk, code="Arrearage", message="")
    assert "is overdue" in web.get(page_of(account)).content.decode()
    many_keys.fault("list", "status", status=401, code="InvalidApiKey", times=1)
    answer = web.post(reverse("web:check_credential", args=[account.slug]), follow=True)
    assert "does not take" in answer.content.decode()
    row.refresh_from_db()
    assert (row.check_result, row.check_code) == (Credential.Check.REFUSED, "InvalidApiKey")
    web.post(reverse("web:check_credential", args=[account.slug]))
    row.refresh_from_db()
    assert row.check_result == Credential.Check.GOOD
    assert CredentialStatus.objects.get(key=str(row.pk)).paused_at is None


def test_an_unreadable_key_is_said_clearly(web, account, settings):
    save(web, account)
    settings.CREDENTIAL_KEYS = ["lost"]
    checked = check_now(credentials.in_use(account.pk))
    assert (checked.ok, checked.code) == (False, "credential.unreadable")
    assert "cannot be read" in checked.text


def test_removing_asks_first_and_goes_back_to_the_sites_key(web, account, owner):
    save(web, account)
    address = reverse("web:remove_credential", args=[account.slug])
    assert OURS[-4:] in web.get(address).content.decode()
    assert credentials.in_use(account.pk)
    web.post(address)
    assert credentials.in_use(account.pk) is None
    assert AccountEvent.objects.filter(kind=AccountEvent.Kind.CREDENTIAL_REMOVED, by=owner).count() == 1


def test_an_owner_of_a_suspended_account_withdraws_the_key_and_brings_none(web, account):
    save(web, account)
    Account.objects.update(status=Account.Status.SUSPENDED)
    page = web.get(page_of(account)).content.decode()
    assert ("Remove it" in page, "Check it now" in page, "Check and use it" in page) == (True, False, False)
    web.post(reverse("web:remove_credential", args=[account.slug]))
    assert credentials.in_use(account.pk) is None
    assert save(web, account).status_code == 403


def test_whose_key_it_is_comes_from_the_task_list(web, account, many_keys, settings):
    many_keys.make_tasks(1, account="ours")
    save(web, account)
    uid = credentials.in_use(account.pk).alibaba_uid
    assert uid.isdigit()
    assert uid in web.get(page_of(account)).content.decode()


def doctors_line():
    [result] = examine(machine_steps()[-1:])
    return str(result)


def test_the_doctor_counts_own_keys_and_names_none(web, account, settings):
    assert doctors_line().endswith("none")
    save(web, account)
    line = doctors_line()
    assert line.startswith("ok ")
    assert "1 in use" in line
    assert OURS[-4:] not in line
    credentials.note_check(credentials.in_use(account.pk), good=False, code="InvalidApiKey")
    assert doctors_line().startswith("warn")
    settings.CREDENTIAL_KEYS = ["lost"]
    assert doctors_line().startswith("FAIL")


# --- templates made with another key ---


def listed(web, account):
    return web.get(reverse("web:gallery", args=[account.slug])).content.decode()


def made_with(account, secret):
    return make_template(account, State.READY, made_with_fingerprint=credentials.fingerprint_of(secret))


def test_a_template_of_the_present_key_has_no_mark(web, account):
    save(web, account)
    made_with(account, OURS)
    assert "another API key" not in listed(web, account)


def test_a_template_of_another_alibaba_account_is_marked_as_not_usable(web, account):
    save(web, account)
    learn_owner(credentials.fingerprint_of(OURS), "1")
    learn_owner(credentials.fingerprint_of(OTHERS), "2")
    row = made_with(account, OTHERS)
    assert "Not usable with the present API key" in listed(web, account)
    detail = web.get(reverse("web:detail", args=[account.slug, row.public_id])).content.decode()
    assert "made under another Alibaba account" in detail


def test_another_key_of_the_same_alibaba_account_is_as_good(web, account):
    save(web, account)
    learn_owner(credentials.fingerprint_of(OURS), "1")
    learn_owner(credentials.fingerprint_of(OTHERS), "1")
    made_with(account, OTHERS)
    text = listed(web, account)
    assert "Not usable" not in text
    assert "another API key" not in text


def test_where_the_alibaba_account_is_not_known_only_that_is_said(web, account):
    save(web, account)
    made_with(account, OTHERS)
    assert "Made with another API key" in listed(web, account)


def test_a_template_of_before_keys_were_noted_counts_as_the_sites(web, account):
    make_template(account, State.READY)
    assert "another API key" not in listed(web, account)
    save(web, account)
    assert "Made with another API key" in listed(web, account)
