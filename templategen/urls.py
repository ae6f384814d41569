"""The root of the URL map: each area lists its own."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog, set_language

from accounts.pages.admin_door import admin_sign_in
from templategen.web import metrics

_admin_words = JavaScriptCatalog.as_view(packages=["django.contrib.admin", "templategen"])

handler400 = "templategen.web.errors.bad_request"

urlpatterns = [
    path("admin/login/", admin_sign_in, name="admin_sign_in"),
    # Django's scripts there with our words for what its own catalogue has not.
    path("admin/jsi18n/", login_not_required(_admin_words), name="admin_jsi18n"),
    path("admin/", admin.site.urls),
    path("language/", login_not_required(set_language), name="set_language"),
    path("jsi18n/", login_not_required(JavaScriptCatalog.as_view(packages=["templategen"])), name="jsi18n"),
    path("metrics", metrics.for_staff, name="metrics"),
    path("api/v1/", include("templategen.api.urls")),
    path("", include("accounts.urls")),
    path("", include("templategen.web.urls")),
]
