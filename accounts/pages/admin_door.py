"""The way into the administration: the same sign-in as everywhere, with the same locks."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from accounts import two_step


@login_not_required
@never_cache
def admin_sign_in(request: HttpRequest) -> HttpResponseBase:
    """On to the site's sign-in page and back; 403 for who is signed in and no staff."""
    given = request.GET.get("next", "")
    here = resolve_url("admin:index")
    to = given if given.startswith("/") and url_has_allowed_host_and_scheme(given, None) else here
    user = request.user
    if user.is_authenticated:
        if not (user.is_active and user.is_staff):
            raise PermissionDenied
        return redirect(to if to != request.path else here)
    door = "accounts:two_step_code" if two_step.waiting_user(request) else "accounts:sign_in"
    return redirect_to_login(to, resolve_url(door))
