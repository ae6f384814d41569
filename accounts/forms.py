"""Forms of signing in and of passwords: Django's own, in the product's words."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class SignInForm(AuthenticationForm):
    """E-mail address and password."""

    error_messages = {
        "invalid_login": _(
            "This address and password do not go together. Check both; capital letters count in the password."
        ),
        "inactive": _("This user was switched off. Ask whoever runs the site."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("E-mail address")
        self.fields["username"].widget.input_type = "email"
        self.fields["username"].widget.attrs |= {"autocomplete": "username", "inputmode": "email"}


class ResetForm(PasswordResetForm):
    """The address that the mail goes to. Whether it is known is told to nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("E-mail address")

    def get_users(self, email: str) -> Iterator[User]:
        """Users without a password too: the first user of a site has none and may lose the sign-in link."""
        return User.objects.filter(email__iexact=email, is_active=True).iterator()
