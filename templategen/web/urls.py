"""The product's pages. Everything under ``/a/<slug>/`` belongs to one account; access.py says whose."""

from django.urls import include, path

from templategen.web import credential, decisions, detail, gallery, home, live, media, usage

app_name = "web"

_template = [
    path("", detail.detail, name="detail"),
    path("card/", gallery.card, name="card"),
    path("rename/", decisions.rename, name="rename"),
    path("retry/", decisions.retry, name="retry"),
    path("cancel/", decisions.cancel, name="cancel"),
    path("resubmit/", decisions.resubmit, name="resubmit"),
    path("adopt/", decisions.adopt, name="adopt"),
    path("look/", decisions.look, name="look"),
    path("delete/", decisions.delete, name="delete"),
    path("restore/", decisions.restore, name="restore"),
    path("poster/", media.poster, name="poster"),
    path("video/", media.video, name="video"),
    path("download/", media.download, name="download"),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("a/<slug:slug>/", gallery.gallery, name="gallery"),
    path("a/<slug:slug>/", include("templategen.web.upload_urls")),
    path("a/<slug:slug>/live/", live.live, name="live"),
    path("a/<slug:slug>/usage/", usage.usage, name="usage"),
    path("a/<slug:slug>/usage/ledger.csv", usage.ledger_csv, name="usage_csv"),
    path("a/<slug:slug>/credential/", credential.credential, name="credential"),
    path("a/<slug:slug>/credential/check/", credential.check_credential, name="check_credential"),
    path("a/<slug:slug>/credential/remove/", credential.remove_credential, name="remove_credential"),
    path("a/<slug:slug>/templates/<uuid:public_id>/", include(_template)),
]
