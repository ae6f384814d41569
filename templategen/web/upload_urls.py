"""Addresses of the uploader, below an account's; included by web/urls.py, in its namespace."""

from django.urls import path

from templategen.web.precheck import precheck
from templategen.web.upload_form import upload_form
from templategen.web.uploads import upload, upload_cancel, upload_finish, upload_parts, uploads

urlpatterns = [
    path("precheck/", precheck, name="precheck"),
    path("uploads/", uploads, name="uploads"),
    path("uploads/form/", upload_form, name="upload_form"),
    path("uploads/<uuid:public_id>/", upload, name="upload"),
    path("uploads/<uuid:public_id>/parts/", upload_parts, name="upload_parts"),
    path("uploads/<uuid:public_id>/finish/", upload_finish, name="upload_finish"),
    path("uploads/<uuid:public_id>/cancel/", upload_cancel, name="upload_cancel"),
]
