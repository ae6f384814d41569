"""What the pages of templates and clips share: their decisions, as actions of a list."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.admin.base import LONGEST_REASON, LookOnly, staff_of
from accounts.admin.decisions import some_of
from templategen import actions
from templategen.admin import decisions, pipeline
from templategen.models import ActionTemplate, TemplateQuerySet

# Some of them call Alibaba, and a person waits for the page.
MOST_AT_ONCE = 50


class WhyForm(ActionForm):
    """Beside the list's menu: why, for the log."""

    why = forms.CharField(label=gettext_lazy("Reason:"), max_length=LONGEST_REASON, required=False)


class Decides(LookOnly):
    """Rows that are templates, or have some, with what can be decided about several at once."""

    action_form = WhyForm
    actions = ["retry_all", "look_all", "cancel_all"]

    def templates_of(self, rows: Any) -> TemplateQuerySet:
        """The templates that the rows that were chosen are; of other rows: those that they have."""
        return rows  # type: ignore[no-any-return]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Fields cannot be changed by anybody; who may change templates may decide."""
        return request.user.has_perm(pipeline.DECIDE)

    @admin.action(description=gettext_lazy("Try again"), permissions=["decide"])
    def retry_all(self, request: HttpRequest, queryset: Any) -> None:
        """A new attempt for each; what may be billed twice is left for its own page."""
        self._decide_all(request, queryset, "retry")

    @admin.action(description=gettext_lazy("Look again"), permissions=["decide"])
    def look_all(self, request: HttpRequest, queryset: Any) -> None:
        """The next look now."""
        self._decide_all(request, queryset, "look")

    @admin.action(description=gettext_lazy("Cancel"), permissions=["decide"])
    def cancel_all(self, request: HttpRequest, queryset: Any) -> None:
        """Stop each that can be stopped."""
        self._decide_all(request, queryset, "cancel")

    def _decide_all(self, request: HttpRequest, queryset: Any, do: str) -> None:
        templates = self.templates_of(queryset).select_related("clip", "account")
        done, why = 0, request.POST.get("why", "")
        try:
            decisions.require_reason(do, why)
        except decisions.NoReasonError:
            self.message_user(request, pipeline.no_reason(), messages.ERROR)
            return
        for template in some_of(self, request, templates, MOST_AT_ONCE) or ():
            try:
                decisions.decide(template, do=do, by=staff_of(request), said={"why": why})
            except decisions.NotSureError:
                self._tell(request, template, _("It may be paid for twice; decide on its own page."))
            except actions.ServiceTroubleError as problem:
                # The others would wait for the same silence.
                self._tell(request, template, problem.text)
                break
            except actions.ActionError as problem:
                self._tell(request, template, problem.text)
            else:
                done += 1
        if done:
            text = ngettext("Done for %(count)d template.", "Done for %(count)d templates.", done) % {"count": done}
            self.message_user(request, text, messages.SUCCESS)

    def _tell(self, request: HttpRequest, template: ActionTemplate, text: str) -> None:
        said = _("“%(name)s”: %(text)s") % {"name": template.name, "text": text}
        self.message_user(request, said, messages.WARNING)
