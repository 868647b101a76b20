"""Settings for what needs no account: audio that is here, heard by an engine that is here, or has its own login."""

from pydantic import SecretStr

from flows.calls.tables import RINGCENTRAL_AI
from flows.settings import Settings


def without_account(settings: Settings, engine: str) -> Settings:
    """The settings with a token that is none, where no login is set and none is needed."""
    if (engine or settings.ringcx_transcribe_engine) == RINGCENTRAL_AI:
        return settings
    if settings.ringcx_access_token.get_secret_value() or settings.ringcentral_jwt.get_secret_value():
        return settings
    return settings.model_copy(update={"ringcx_access_token": SecretStr("none")})
