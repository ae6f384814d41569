"""Addresses of the JSON API, below ``/api/v1/``."""

from django.urls import path

from templategen.api import doors, templates

app_name = "api"
urlpatterns = [
    path("templates/", templates.templates, name="templates"),
    path("templates/<uuid:public_id>/", templates.template, name="template"),
    path("", doors.not_found, name="nothing"),
    path("<path:rest>", doors.not_found, name="nothing_below"),
]
