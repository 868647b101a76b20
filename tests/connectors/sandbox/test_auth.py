"""The two steps of authentication, and what happens to a token that is old, spent or wrong."""

from collections.abc import Callable

import httpx
import pytest

from connectors.sandbox import ManualClock, Sandbox, SandboxConfig

Open = Callable[[SandboxConfig], tuple[httpx.Client, Sandbox]]
OAUTH, LOGIN, REFRESH = "/restapi/oauth/token", "/api/auth/login/rc/accesstoken", "/api/auth/token/refresh"
ACCOUNTS = "/voice/api/v1/admin/accounts"
BASIC = ("sandbox-client", "sandbox-secret")
JWT_GRANT = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "sandbox-jwt"}


def login(client: httpx.Client) -> httpx.Response:
    """Both steps, without a look at the first answer."""
    token = client.post(OAUTH, auth=BASIC, data=JWT_GRANT).json()["access_token"]
    form = {"rcAccessToken": token, "rcTokenType": "Bearer"}
    return client.post(LOGIN, params={"includeRefresh": "true"}, data=form)


def ask(client: httpx.Client, token: str) -> httpx.Response:
    """A call that needs a RingCX token."""
    return client.get(ACCOUNTS, headers={"Authorization": f"Bearer {token}"})


def test_a_jwt_buys_a_ringcentral_token_with_the_documented_lives(open_sandbox: Open) -> None:
    """ringcx-api.md, *Authentication*, step 1."""
    client, _ = open_sandbox(SandboxConfig())
    answer = client.post(OAUTH, auth=BASIC, data=JWT_GRANT).json()
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (7199, 604799)
    account = client.get("/restapi/v1.0/account/~", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert account.json()["id"] == "980634004"


@pytest.mark.parametrize(
    ("basic", "form", "status", "code"),
    [
        (("sandbox-client", "wrong"), JWT_GRANT, 401, "invalid_client"),
        (BASIC, JWT_GRANT | {"assertion": "wrong"}, 400, "invalid_grant"),
        (BASIC, {"grant_type": "refresh_token", "refresh_token": "wrong"}, 400, "invalid_grant"),
        (BASIC, {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_are_oauth_errors(
    open_sandbox: Open, basic: tuple[str, str], form: dict[str, str], status: int, code: str
) -> None:
    """A client must tell wrong settings from trouble that passes (RFC 6749, section 5.2)."""
    client, _ = open_sandbox(SandboxConfig())
    refused = client.post(OAUTH, auth=basic, data=form)
    assert (refused.status_code, refused.json()["error"]) == (status, code)


def test_a_ringcentral_refresh_token_buys_one_new_pair(open_sandbox: Open) -> None:
    """It rotates like the RingCX one."""
    client, _ = open_sandbox(SandboxConfig())
    spent = client.post(OAUTH, auth=BASIC, data=JWT_GRANT).json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": spent}
    assert [client.post(OAUTH, auth=BASIC, data=form).status_code for _ in range(2)] == [200, 400]


def test_the_exchange_answers_as_documented(open_sandbox: Open) -> None:
    """ringcx-api.md, *Authentication*, step 2."""
    client, _ = open_sandbox(SandboxConfig())
    answer = login(client).json()
    assert {"accessToken", "refreshToken", "tokenType", "mainAccountId", "agentDetails"} == set(answer)
    assert ask(client, answer["accessToken"]).status_code == 200


def test_without_include_refresh_there_is_no_refresh_token(open_sandbox: Open) -> None:
    """`includeRefresh=true` is what asks for it."""
    client, _ = open_sandbox(SandboxConfig())
    token = client.post(OAUTH, auth=BASIC, data=JWT_GRANT).json()["access_token"]
    answer = client.post(LOGIN, data={"rcAccessToken": token, "rcTokenType": "Bearer"}).json()
    assert answer["refreshToken"] is None


def test_a_ringcentral_token_that_has_expired_buys_nothing(open_sandbox: Open, clock: ManualClock) -> None:
    """After two hours a client has to start with the first step again."""
    client, _ = open_sandbox(SandboxConfig())
    token = client.post(OAUTH, auth=BASIC, data=JWT_GRANT).json()["access_token"]
    clock.advance(7199)
    assert client.post(LOGIN, data={"rcAccessToken": token, "rcTokenType": "Bearer"}).status_code == 401


def test_a_ringcx_token_works_for_five_minutes(open_sandbox: Open, clock: ManualClock) -> None:
    """The token's short life is what makes clients share and renew it."""
    client, _ = open_sandbox(SandboxConfig())
    token = login(client).json()["accessToken"]
    clock.advance(299)
    assert ask(client, token).status_code == 200
    clock.advance(1)
    refused = ask(client, token)
    assert (refused.status_code, refused.text) == (401, "JWT is expired.")
    assert refused.headers["content-type"].startswith("text/plain")


def test_refreshing_gives_a_new_pair_and_spends_the_old_refresh_token(open_sandbox: Open) -> None:
    """A client that keeps the first refresh token locks itself out at the second refresh."""
    client, _ = open_sandbox(SandboxConfig())
    first = login(client).json()
    second = client.post(REFRESH, data={"refresh_token": first["refreshToken"]}).json()
    assert set(second) == set(first)
    assert ask(client, second["accessToken"]).status_code == 200
    assert client.post(REFRESH, data={"refresh_token": first["refreshToken"]}).status_code == 401
    assert client.post(REFRESH, data={"refresh_token": second["refreshToken"]}).status_code == 200


def test_the_static_token_never_expires_and_can_be_taken_away(open_sandbox: Open, clock: ManualClock) -> None:
    """Users may hand a ready token to the pipeline, as the seed's sample does."""
    client, _ = open_sandbox(SandboxConfig())
    clock.advance(10**6)
    assert ask(client, "sandbox-token").status_code == 200
    other, _ = open_sandbox(SandboxConfig(static_token=None))
    assert ask(other, "sandbox-token").status_code == 401


@pytest.mark.parametrize("token", ["", "None", "sandbox-toke"])
def test_any_other_token_is_refused(open_sandbox: Open, token: str) -> None:
    """An empty or unknown token must not slip through, static token or not."""
    client, _ = open_sandbox(SandboxConfig())
    assert client.get(ACCOUNTS, headers={"Authorization": f"Bearer {token}".strip()}).status_code == 401


@pytest.mark.parametrize("path", [OAUTH, LOGIN])
def test_a_sixth_try_in_a_minute_is_refused(open_sandbox: Open, path: str) -> None:
    """Both token endpoints allow five requests a minute, right or wrong ones."""
    client, _ = open_sandbox(SandboxConfig())
    assert [client.post(path).status_code == 429 for _ in range(6)] == [False] * 5 + [True]
