"""Forms of signing in and up, of passwords, members and tokens."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, User

if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs.
    PasswordForm = SetPasswordForm[User]
else:
    PasswordForm = SetPasswordForm


class OneLine(forms.CharField):
    """A name: one line of what can be seen. It stands in mails' subjects, and on pages beside other people's words."""

    def to_python(self, value: Any) -> str:
        """What cannot be seen becomes a space, but for NUL, which is refused; ``""`` where nothing is left."""
        text = super().to_python(value) or ""
        return " ".join("".join(letter if letter.isprintable() or letter == "\0" else " " for letter in text).split())


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


class MailForm(forms.Form):
    """An e-mail address that a mail goes to. Whether it is known here is told to nobody."""

    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
    )

    def clean_email(self) -> str:
        """In lower case, as addresses are kept."""
        return str(self.cleaned_data["email"]).lower()


class ResetForm(MailForm):
    """Whose password is to be chosen anew."""


class SignUpForm(MailForm):
    """Who wants to sign up."""


class InviteForm(MailForm):
    """Whom an owner invites, and as what."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.EDITOR)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Somebody else's: not the browser's owner's own.
        self.fields["email"].widget.attrs["autocomplete"] = "off"


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Role.choices)


class TokenForm(forms.Form):
    """What a new API token is for."""

    name = OneLine(label=_("What is it for?"), max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}))


class ChoosePasswordForm(PasswordForm):
    """A new password; what is wrong with it stands below it, not below its repetition."""

    def validate_password_for_user(self, user: User, password_field_name: str = "") -> None:
        """Django looks at the repetition, which a wrong one has lost."""
        super().validate_password_for_user(user, "new_password1")


class ChangePasswordForm(ChoosePasswordForm, PasswordChangeForm):
    """The same, for who knows the old one."""


class NewPasswordForm(ChoosePasswordForm):
    """The first password of a user who is made right then: pass an unsaved one, and never call ``save``."""


class AccountForm(forms.Form):
    """What a new account is called."""

    account_name = OneLine(
        label=_("Name of your account"),
        help_text=_("Your studio's, team's or own name. People whom you invite see it."),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class FinishSignUpForm(AccountForm, ChoosePasswordForm):
    """A first password, with the name of their account."""

    field_order = ["account_name", "new_password1", "new_password2"]
