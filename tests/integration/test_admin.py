"""The administrator's pages: users and accounts to change, templates and clips to look at."""

import pytest
from django.test import Client

from accounts.models import Account, Membership, User
from tests.factories import make_template
from tests.people import account_of


@pytest.fixture
def admin(client: Client, owner: User) -> Client:
    client.force_login(User.objects.create_superuser("admin@example.com"))
    return client


def test_templates_and_clips_are_shown_and_cannot_be_changed(admin: Client, owner: User) -> None:
    template = make_template(account_of(owner), name="Waltz")
    assert "Waltz" in admin.get("/admin/templategen/actiontemplate/").content.decode()
    assert admin.get("/admin/templategen/actiontemplate/", {"q": template.template_id}).status_code == 200
    for kind, row in (("actiontemplate", template), ("clip", template.clip)):
        page = f"/admin/templategen/{kind}/{row.pk}/"
        assert admin.get(f"{page}change/").status_code == 200
        assert admin.post(f"{page}change/", {"name": "Other"}).status_code == 403
        assert admin.post(f"{page}delete/", {"post": "yes"}).status_code == 403
        assert admin.get(f"/admin/templategen/{kind}/add/").status_code == 403


def test_a_user_is_made_and_put_into_an_account(admin: Client, owner: User) -> None:
    new = {"email": "New@example.com", "usable_password": "false", "_save": "1"}
    forms = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert admin.post("/admin/accounts/user/add/", new | forms).status_code == 302
    user = User.objects.get(email__iexact="new@example.com")
    assert not user.has_usable_password()
    Membership.objects.create(user=user, account=account_of(owner))
    assert "Studio" in admin.get(f"/admin/accounts/user/{user.pk}/change/").content.decode()
    assert admin.get(f"/admin/accounts/account/{Account.objects.get().pk}/change/").status_code == 200
    assert admin.get("/admin/accounts/user/", {"q": "new"}).status_code == 200
