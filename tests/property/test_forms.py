"""Every form and every field by itself: whatever is given, a form says no or has something sound, and no page crashes.

A form or a field that is new is tried by itself, or fails the first test until it is said how it is made.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.http import QueryDict
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import accounts.forms as theirs
from accounts import jobs, members, sign_up, tokens, two_step
from accounts.models import Account, Role, User
from accounts.pages import two_step as steps
from templategen.models import ActionTemplate
from templategen.states import State
from templategen.web import credential, precheck, uploads
from tests.doors import ALL, DOORS, WITHOUT_ACCOUNT, make_behind, path_of
from tests.factories import make_template
from tests.people import PASSWORD, account_of
from tests.property import hostile

pytestmark = pytest.mark.usefixtures("no_limits")

QUICK = {
    "max_examples": 12,
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
# One of each sort: what PostgreSQL refuses, what no text can be, what ends a header, what is too much.
NASTY: list[str | bytes] = [
    "\0", "a\0b", "\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe", "\r\nX: y", "9" * 400, "a" * 10_000,
    "１２", "-1", "[]", "\u202e\ufeff", "00000000-0000-4000-8000-00000000000\0",
]  # fmt: skip
FEW = ["\0", b"\xff\xfe", "\r\nX: y", "9" * 400, "a" * 10_000]

# How each form is made, from a user and what was sent.
Maker = Callable[[User, Any], forms.BaseForm]
FORMS: dict[type[forms.BaseForm], Maker] = {
    theirs.SignInForm: lambda _user, data: theirs.SignInForm(RequestFactory().post("/sign-in/"), data),
    theirs.MailForm: lambda _user, data: theirs.MailForm(data),
    theirs.ResetForm: lambda _user, data: theirs.ResetForm(data),
    theirs.SignUpForm: lambda _user, data: theirs.SignUpForm(data),
    theirs.InviteForm: lambda _user, data: theirs.InviteForm(data),
    theirs.RoleForm: lambda _user, data: theirs.RoleForm(data),
    theirs.TokenForm: lambda _user, data: theirs.TokenForm(data),
    theirs.NewPasswordForm: theirs.NewPasswordForm,
    theirs.ChoosePasswordForm: theirs.ChoosePasswordForm,
    theirs.ChangePasswordForm: theirs.ChangePasswordForm,
    theirs.AccountForm: lambda _user, data: theirs.AccountForm(data),
    theirs.FinishSignUpForm: theirs.FinishSignUpForm,
    SetPasswordForm: SetPasswordForm,
    PasswordChangeForm: PasswordChangeForm,
    steps.CodeForm: lambda _user, data: steps.CodeForm(data),
    credential.CredentialForm: lambda _user, data: credential.CredentialForm(data),
    steps.TurnOnForm: steps.TurnOnForm,
    precheck.WholeNumber: lambda _user, data: precheck.WholeNumber(data),
}
# Of JSON bodies: their values are of any type.
JSON_FORMS = {uploads.BeginForm, uploads.PartsForm}


def ours(form: type[forms.BaseForm]) -> Iterator[type[forms.BaseForm]]:
    for below in form.__subclasses__():
        yield from ours(below)
    # The administration's own are made by Django; tests below send to its pages.
    module = form.__module__
    if module.partition(".")[0] in {"accounts", "templategen"} and "admin" not in module and form.__name__ != "Form":
        yield form


def fields_of(form: type[forms.BaseForm]) -> dict[str, forms.Field]:
    return dict(form.base_fields)


def test_it_is_said_of_every_form_how_it_is_made() -> None:
    # Everything is loaded once the addresses are.
    assert get_resolver().url_patterns
    assert set(ours(forms.BaseForm)) <= {*FORMS, *JSON_FORMS}


@pytest.mark.parametrize("form", sorted(FORMS, key=lambda form: form.__name__), ids=lambda form: form.__name__)
def test_no_form_crashes_or_lets_through_what_no_database_keeps(owner: User, form: type[forms.BaseForm]) -> None:
    fields = list(fields_of(form))

    @settings(**QUICK)
    @given(values=st.tuples(*[hostile.texts for _field in fields]))
    def fill(values: tuple[str | bytes, ...]) -> None:
        given_data = QueryDict(hostile.urlencoded(list(zip(fields, values, strict=True))))
        made = FORMS[form](owner, given_data)
        if made.is_valid():
            for name, value in made.cleaned_data.items():
                expect_sound(form, name, value)
        str(made.errors)

    fill()


def expect_sound(form: type[forms.BaseForm], name: str, value: Any) -> None:
    if isinstance(value, str) and "password" not in name:
        assert "\0" not in value, (form, name)
        value.encode()
        if name in {"name", "account_name", "email"}:
            assert value.isprintable(), (form, name)


@pytest.mark.parametrize("form", sorted(JSON_FORMS, key=lambda form: form.__name__), ids=lambda form: form.__name__)
def test_no_form_of_json_crashes(form: type[forms.BaseForm]) -> None:
    @settings(**QUICK | {"max_examples": 40})
    @given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(fields_of(form), hostile.json_values)))
    def fill(values: dict[str, Any]) -> None:
        made = form(values)
        if made.is_valid():
            for name, value in made.cleaned_data.items():
                expect_sound(form, name, value) if name != "fingerprint" else None

    fill()


def expect_no_crash(answer: Any, sent: object) -> None:
    assert answer.status_code < 500, sent


# --- Each field by itself, the others as they should be ---


@pytest.mark.parametrize(
    "name", sorted(name for name, doors in DOORS.items() if any(d.method == "post" for d in doors))
)
def test_no_field_of_an_account_crashes_by_itself(client: Client, owner: User, services: None, name: str) -> None:
    studio = account_of(owner)
    client.force_login(owner)
    for door in DOORS[name]:
        if door.method == "post" and not door.is_json:
            path = make_behind(name, door, studio, owner).path
            for field in door.body or ["next"]:
                for text in FEW:
                    pairs = [(other, str(value)) for other, value in door.body.items() if other != field]
                    body = hostile.urlencoded([*pairs, (field, text)])
                    sent = client.post(path, body, content_type="application/x-www-form-urlencoded")
                    expect_no_crash(sent, (field, text))
                    Account.objects.get(pk=studio.pk)
            owner.memberships.update_or_create(account=studio, defaults={"role": Role.OWNER})


READ = {
    "web:gallery": ("q", "state", "page"),
    "web:live": ("t", "on", "player", "hold", "quiet"),
    "web:usage": ("month",),
    "web:usage_csv": ("month",),
}


@pytest.mark.parametrize("name", sorted(READ))
def test_no_part_of_an_address_crashes_by_itself(client: Client, owner: User, name: str) -> None:
    template = make_template(account_of(owner), State.READY, name="Walk")
    client.force_login(owner)
    path = reverse(name, kwargs={"slug": "studio"})
    for field in READ[name]:
        for text in [*FEW, f"{template.public_id}.\0", f"{template.public_id}.{'9' * 30}"]:
            answer = client.get(f"{path}?{hostile.urlencoded([(field, text)])}")
            expect_no_crash(answer, (field, text))
            assert answer.status_code == 200


def test_nothing_that_is_asked_of_the_api_crashes_it(client: Client, owner: User) -> None:
    _token, secret = tokens.make(account_of(owner), user=owner, name="One")
    template = make_template(account_of(owner), State.READY)
    for field in ("state", "limit", "cursor"):
        for text in NASTY:
            query = hostile.urlencoded([(field, text)])
            answer = client.get(f"/api/v1/templates/?{query}", headers={"authorization": f"Bearer {secret}"})
            assert answer.status_code == 400, (field, text)
    for scheme in ("Bearer", "bearer", "Basic", ""):
        for text in (t for t in NASTY if isinstance(t, str) and t.isascii() and t.isprintable()):
            answer = client.get(
                f"/api/v1/templates/{template.public_id}/", headers={"authorization": f"{scheme} {text}"}
            )
            assert answer.status_code == 401


def test_nothing_in_a_path_crashes(client: Client, owner: User) -> None:
    client.force_login(owner)
    for text in NASTY:
        quoted = hostile.urlencoded([("", text)])[1:].replace("a" * 10_000, "a" * 3000)
        for start in ("/a/%s/", "/a/studio/templates/%s/", "/a/studio/members/%s/role/", "/password-reset/%s/x-y/",
                      "/password-reset/MQ/%s/", "/sign-in/%s/%s/", "/invitation/%s/", "/sign-up/link/%s/", "/admin/%s/",
                      "/api/v1/templates/%s/"):  # fmt: skip
            expect_no_crash(client.get(start.replace("%s", quoted)), (start, text))


@pytest.mark.parametrize("name", sorted({*WITHOUT_ACCOUNT} - {"accounts:sign_out"}))
def test_no_field_outside_the_accounts_crashes_by_itself(client: Client, owner: User, name: str) -> None:
    fields = sorted({field for form in FORMS for field in fields_of(form)} | {"session", "next"})
    path = path_of(name)
    for text in FEW:
        body = hostile.urlencoded([(field, text) for field in fields])
        client.cookies.clear()
        expect_no_crash(client.post(path, body, content_type="application/x-www-form-urlencoded"), text)
        client.force_login(owner)
        expect_no_crash(client.post(path, body, content_type="application/x-www-form-urlencoded"), text)
    expect_no_crash(client.get(f"{path}?{hostile.urlencoded([(field, FEW[0]) for field in fields])}"), path)


# --- Pages that only a secret opens ---


def invited(client: Client, owner: User) -> str:
    offer = members.invite(account_of(owner), email="new@example.com", role=Role.EDITOR, by=owner)
    client.get(reverse("accounts:invitation_link", args=[members.new_token(offer)]))
    return reverse("accounts:invitation")


def signing_up(client: Client, _owner: User) -> str:
    client.get(reverse("accounts:sign_up_link", args=[sign_up.token_for("new@example.com")]))
    return reverse("accounts:sign_up_finish")


def resetting(client: Client, owner: User) -> str:
    where = urlsafe_base64_encode(force_bytes(owner.pk)), default_token_generator.make_token(owner)
    return str(client.get(reverse("accounts:password_reset_confirm", args=where)).url)


def waiting(client: Client, owner: User) -> str:
    device = two_step.begun_device(owner)
    type(device).objects.filter(pk=device.pk).update(confirmed=True)
    client.post("/sign-in/", {"username": owner.email, "password": PASSWORD})
    return reverse("accounts:two_step_code")


def turning_on(client: Client, owner: User) -> str:
    client.force_login(owner)
    return reverse("accounts:two_step")


BEHIND: list[tuple[Callable[[Client, User], str], dict[str, str]]] = [
    (invited, {"new_password1": PASSWORD, "new_password2": PASSWORD}),
    (signing_up, {"account_name": "Studio", "new_password1": PASSWORD, "new_password2": PASSWORD}),
    (resetting, {"new_password1": PASSWORD, "new_password2": PASSWORD}),
    (waiting, {"code": "000000"}),
    (turning_on, {"code": "000000", "password": PASSWORD}),
]


@pytest.mark.parametrize(("way", "fields"), BEHIND, ids=lambda value: getattr(value, "__name__", ""))
def test_no_form_behind_a_secret_crashes(
    client: Client, owner: User, way: Callable[[Client, User], str], fields: dict[str, str]
) -> None:
    path = way(client, owner)
    assert client.get(path).status_code == 200
    for field in fields:
        for text in FEW:
            body = hostile.urlencoded([*[pair for pair in fields.items() if pair[0] != field], (field, text)])
            answer = client.post(path, body, content_type="application/x-www-form-urlencoded")
            expect_no_crash(answer, (field, text))
            if field in {"code", "account_name"} and text == "\0":
                assert answer.status_code == 422


# --- The administration ---


def test_no_question_to_the_administration_crashes_it(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.post("/sign-in/", {"username": "a@example.com", "password": "x"})
    assert AccessAttempt.objects.exists()
    make_template(account_of(owner), State.FAILED)
    client.force_login(owner)
    for model, site in admin.site._registry.items():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        names = ["q", "o", "p", "e", "_to_field", "all", "_popup", "id__exact"]
        names += [f"{each}__exact" for each in site.list_filter if isinstance(each, str)]
        for name in names:
            for text in ("\0", "9" * 400):
                answer = client.get(f"{path}?{hostile.urlencoded([(name, text)])}")
                expect_no_crash(answer, (path, name, text))
        for key in ("%00", "_00", "9" * 400, "x"):
            expect_no_crash(client.get(f"{path}{key}/change/"), (path, key))


# What Django would hand on to the database, which makes nothing of it.
LOOKUPS = (
    "__range=1",
    "__iregex=[",
    "__year=0",
    "__iso_year__lt=10000",
    "__has_keys=",
    "__contains=1",
    "__date__year=-1",
)


def test_only_what_its_filters_ask_for_can_be_asked_of_a_list_of_the_administration(
    client: Client, owner: User
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    client.force_login(owner)
    for model, site in admin.site._registry.items():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for field in model._meta.fields:
            for lookup in LOOKUPS:
                assert client.get(f"{path}?{field.name}{lookup}").status_code == 400, (path, field.name, lookup)
        assert client.get(f"{path}?q={'+'.join(['word'] * 1000)}").status_code == 200, path
        for each in site.list_filter:
            name = f"{each}__exact" if isinstance(each, str) else getattr(each, "parameter_name", "")
            for value in ("1", "x", "9" * 400):
                assert client.get(f"{path}?{name}={value}").status_code in {200, 302}, (path, name, value)


def test_a_choice_of_rows_that_are_none_is_refused(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    owner.refresh_from_db()
    client.force_login(owner)
    request = RequestFactory().get("/")
    request.user = owner
    for model, site in admin.site._registry.items():
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for action in site.get_actions(request):
            for chosen in ("\0", "x", "", "1,2", "9" * 5000, b"\xff"):
                body = hostile.urlencoded([("action", action), ("_selected_action", chosen), ("why", "w")])
                answer = client.post(path, body, content_type="application/x-www-form-urlencoded")
                assert answer.status_code == 400, (path, action, chosen)


def test_no_form_of_the_administration_crashes(client: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    make_template(account_of(owner), State.FAILED)
    client.force_login(owner)
    for model, site in admin.site._registry.items():
        at = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        paths = [reverse(f"{at}_changelist")]
        paths += [reverse(f"{at}_add")] if f"{at}_add" in ALL else []
        paths += [reverse(f"{at}_{page}", args=[row.pk]) for page in ("change", "delete")] if row else []
        names = [field.name for field in model._meta.get_fields()]
        names += ["action", "_selected_action", "select_across", "reason", "post", "do", "task_id", "_save"]
        for path in paths:
            for text in ("\0", b"\xff", "9" * 400):
                body = hostile.urlencoded([(name, text) for name in names])
                answer = client.post(path, body, content_type="application/x-www-form-urlencoded")
                expect_no_crash(answer, (path, text))
        assert site is not None
    for text in NASTY:
        fields = ("do", "task_id", "next", "reason", "template", "credential", "sure")
        body = hostile.urlencoded([(name, text) for name in fields])
        for name in (each for each in ALL if each.startswith("admin:pipeline") or each == "admin:password_change"):
            answer = client.post(path_of(name), body, content_type="application/x-www-form-urlencoded")
            expect_no_crash(answer, (name, text))


# --- Names that go into a mail's header ---


@pytest.mark.parametrize("name", ["x\r\nBcc: evil@example.com", "x\rBcc: evil@example.com", "x\nBcc: evil@example.com",
                                  "x\u2028Bcc: y", "\0x", "x\x0b\x0cBcc: y"])  # fmt: skip
def test_no_name_of_an_account_gets_into_a_mails_headers(owner: User, name: str) -> None:
    """However it came into the row."""
    studio = account_of(owner)
    studio.name = name.replace("\0", "")
    studio.save()
    offer = members.invite(studio, email="new@example.com", role=Role.VIEWER, by=owner)
    jobs.mail_invitation(invitation_pk=offer.pk, language="en")
    [message] = mail.outbox
    assert message.recipients() == ["new@example.com"]
    assert len(message.subject.splitlines()) == 1
    assert "Bcc" not in message.message()


def test_a_new_accounts_name_is_one_line(client: Client, owner: User) -> None:
    path = signing_up(client, owner)
    words = {
        "new_password1": PASSWORD,
        "new_password2": PASSWORD,
        "account_name": " My\r\nBcc: x@y.example\u202e studio ",
    }
    assert client.post(path, words).status_code == 302
    assert Account.objects.order_by("-pk").first().name == "My Bcc: x@y.example studio"  # type: ignore[union-attr]
    assert not ActionTemplate.objects.exists()
