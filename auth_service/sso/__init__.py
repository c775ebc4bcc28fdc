"""Single sign-on: where a browser goes to say who it is, and what happens when it comes back."""

from auth_service.sso.demo import DemoLogin
from auth_service.sso.provider import LoginRefused, Provider, ProviderUser
from auth_service.sso.sign_on import SingleSignOn, Step, Visitor, Ways
from auth_service.sso.state import STATE_SECONDS, LoginStates
from auth_service.sso.wecom import CALLBACK, WECOM_CLIENT, WeCom, WeComApp

__all__ = [
    "CALLBACK",
    "STATE_SECONDS",
    "WECOM_CLIENT",
    "DemoLogin",
    "LoginRefused",
    "LoginStates",
    "Provider",
    "ProviderUser",
    "SingleSignOn",
    "Step",
    "Visitor",
    "Ways",
    "WeCom",
    "WeComApp",
]
