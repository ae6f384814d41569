"""The service under contract: the sandbox, or (by hand, `-m live`) the real one. Both get the same assertions."""

import os
import secrets
from dataclasses import dataclass

import oss2
import pytest

from tests import sandbox as local
from tests.sandbox import Sandbox

LIVE_VARIABLES = (
    "DASHSCOPE_API_KEY",
    "OSS_ENDPOINT",
    "OSS_REGION",
    "OSS_BUCKET",
    "OSS_ACCESS_KEY_ID",
    "OSS_ACCESS_KEY_SECRET",
)


@dataclass(frozen=True)
class Service:
    """Where to reach OSS and DashScope, and with what. `prefix` is this run's own place in the bucket."""

    live: bool
    oss_endpoint: str
    region: str
    bucket: str
    access_key_id: str
    access_key_secret: str
    api_url: str
    api_key: str
    prefix: str

    def key(self, name: str) -> str:
        """An object key of this test alone."""
        return f"{self.prefix}/{secrets.token_hex(4)}/{name}"

    def oss(self, region: str | None = None) -> oss2.Bucket:
        """The bucket through oss2, signature version 4."""
        provider = oss2.credentials.StaticCredentialsProvider(self.access_key_id, self.access_key_secret)
        auth = oss2.ProviderAuthV4(provider)
        return oss2.Bucket(auth, self.oss_endpoint, self.bucket, region=region or self.region)


def sandbox_service(sandbox: Sandbox) -> Service:
    """The sandbox as a service."""
    return Service(
        live=False,
        oss_endpoint=sandbox.url,
        region=local.REGION,
        bucket=local.BUCKET,
        access_key_id=local.ACCESS_KEY_ID,
        access_key_secret=local.ACCESS_KEY_SECRET,
        api_url=sandbox.api_url,
        api_key=local.API_KEY,
        prefix="contract-tests",
    )


def live_service() -> Service:
    """The real one, from the environment; skips when something is missing."""
    missing = [name for name in LIVE_VARIABLES if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no credentials for the real services: {', '.join(missing)}")
    env = os.environ
    return Service(
        live=True,
        oss_endpoint=env["OSS_ENDPOINT"],
        region=env["OSS_REGION"],
        bucket=env["OSS_BUCKET"],
        access_key_id=env["OSS_ACCESS_KEY_ID"],
        access_key_secret=env["OSS_ACCESS_KEY_SECRET"],
        api_url=env.get("DASHSCOPE_BASE_URL", "https://dashscope.aliyuncs.com/api/v1"),
        api_key=env["DASHSCOPE_API_KEY"],
        prefix="contract-tests",
    )
