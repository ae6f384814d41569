"""Signing in and up, passwords, oneself; and what an account's owners manage, below its own address."""

from django.urls import path

from accounts.pages import browsers, invitation, members, own, passwords, sign_in, sign_up, tokens, two_step

app_name = "accounts"
urlpatterns = [
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-in/code/", two_step.code, name="two_step_code"),
    path("sign-in/link-gone/", sign_in.sign_in_link_gone, name="sign_in_link_gone"),
    path("sign-in/<str:uidb64>/<str:token>/", sign_in.sign_in_link, name="sign_in_link"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign_out"),
    path("sign-up/", sign_up.begin, name="sign_up"),
    path("sign-up/sent/", sign_up.sent, name="sign_up_sent"),
    path("sign-up/finish/", sign_up.finish, name="sign_up_finish"),
    path("sign-up/link/<str:token>/", sign_up.link, name="sign_up_link"),
    path("invitation/", invitation.invitation, name="invitation"),
    path("invitation/<str:token>/", invitation.invitation_link, name="invitation_link"),
    path("account/", own.account, name="account"),
    path("account/new/", sign_up.further, name="new_account"),
    path("account/password/", passwords.PasswordChange.as_view(), name="password_change"),
    path("account/two-step/", two_step.two_step_page, name="two_step"),
    path("account/two-step/codes/", two_step.new_codes, name="two_step_codes"),
    path("account/two-step/off/", two_step.turn_off, name="two_step_off"),
    path("account/browsers/", browsers.browsers, name="browsers"),
    path("account/browsers/end/", browsers.end, name="end_browser"),
    path("password-reset/", passwords.password_reset, name="password_reset"),
    path("password-reset/sent/", passwords.PasswordResetSent.as_view(), name="password_reset_sent"),
    path(
        "password-reset/<str:uidb64>/<str:token>/",
        passwords.PasswordResetConfirm.as_view(),
        name="password_reset_confirm",
    ),
    path("a/<slug:slug>/members/", members.members_page, name="members"),
    path("a/<slug:slug>/members/invite/", members.invite, name="invite"),
    path("a/<slug:slug>/members/<int:pk>/role/", members.change_role, name="change_role"),
    path("a/<slug:slug>/members/<int:pk>/remove/", members.remove, name="remove_member"),
    path("a/<slug:slug>/invitations/<int:pk>/again/", members.invite_again, name="invite_again"),
    path("a/<slug:slug>/invitations/<int:pk>/take-back/", members.take_back, name="take_back"),
    path("a/<slug:slug>/leave/", own.leave, name="leave"),
    path("a/<slug:slug>/tokens/", tokens.tokens_page, name="tokens"),
    path("a/<slug:slug>/tokens/<int:pk>/revoke/", tokens.revoke, name="revoke_token"),
]
