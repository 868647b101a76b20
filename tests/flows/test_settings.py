"""Settings: checked at start, named when wrong, secret when secret."""

import pytest

from flows.settings import Settings, SettingsError, load_settings

LOGIN = {"ringcentral_client_id": "id", "ringcentral_client_secret": "hush-secret", "ringcentral_jwt": "hush-jwt"}


def settings(**values: object) -> Settings:
    """Settings from these values alone."""
    return load_settings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGCX_WINDOW_SECONDS", "often"),
        ("RINGCX_WINDOW_SECONDS", "5"),
        ("RINGCX_TRANSCRIPT_LIMITS", "120"),
        ("RINGCX_TRANSCRIPT_LIMITS", "120/0"),
        ("RINGCX_METADATA_LIMITS", "9/60,3/900"),
        ("RINGCX_BASE_URL", "ringcx"),
        ("RINGCX_START", "yesterday"),
        ("RINGCX_CONCURRENCY", "0"),
        ("RINGCX_TIMEOUT_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it finds it by its name, before anything has started."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        settings()


def test_a_login_that_is_not_whole_names_what_is_missing() -> None:
    """Two of three credentials are no login."""
    with pytest.raises(SettingsError, match="RINGCENTRAL_JWT"):
        settings(**{**LOGIN, "ringcentral_jwt": ""})


def test_no_credentials_at_all_say_what_to_set() -> None:
    """Reading the tables needs none, so they are only asked for when the platform is."""
    with pytest.raises(SettingsError, match="RINGCX_ACCESS_TOKEN"):
        settings().require_credentials()


def test_no_secret_is_shown() -> None:
    """Settings end up in logs and tracebacks."""
    assert "hush" not in repr(settings(**LOGIN)) + str(settings(**LOGIN)) + str(settings(**LOGIN).model_dump())


def test_a_wrong_setting_does_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pydantic likes to quote its input."""
    monkeypatch.setenv("RINGCX_WINDOW_SECONDS", "often")
    with pytest.raises(SettingsError) as caught:
        settings(**LOGIN)
    assert "hush" not in str(caught.value)


def test_lists_limits_and_times_are_read_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commas, slashes, and UTC where no zone is given."""
    monkeypatch.setenv("RINGCX_SUB_ACCOUNT_IDS", " 1, 2 ,")
    monkeypatch.setenv("RINGCX_START", "2026-09-01")
    found = settings()
    assert found.ringcx_sub_account_ids == ("1", "2")
    assert [(limit.requests, limit.seconds) for limit in found.ringcx_metadata_limits] == [(3, 60), (9, 900)]
    assert found.ringcx_start is not None
    assert found.ringcx_start.isoformat() == "2026-09-01T00:00:00+00:00"


def test_processes_with_the_same_credentials_share_a_folder_and_others_do_not() -> None:
    """Quotas and tokens belong to the credentials."""
    assert settings(**LOGIN).state_folder == settings(**LOGIN, ringcx_lake="elsewhere").state_folder
    assert settings(**LOGIN).state_folder != settings(**{**LOGIN, "ringcentral_jwt": "other"}).state_folder
