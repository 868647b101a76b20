"""Everything that can be set, from the environment and `.env`, checked once at start.

The only place that reads either. A bad value stops the program with its name, what is wrong and what to do.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from platformdirs import user_state_path
from pydantic import Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from connectors.limits import Limit, parse_limits

Limits = Annotated[tuple[Limit, ...], NoDecode]
DEFAULT_LAKE = "lake"
LIMITED = ("transcript", "metadata", "auth", "admin", "media_control", "recording", "summary", "ai")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names each and says what to do."""


class Settings(BaseSettings):
    """All settings. Each field's description is its documentation; the environment variable is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    ringcentral_base_url: str = Field(
        "https://platform.ringcentral.com", description="RingCentral platform: login and account. URL."
    )
    ringcentral_client_id: str = Field("", description="Client id of the RingCentral app.")
    ringcentral_client_secret: SecretStr = Field(SecretStr(""), description="Client secret of the RingCentral app.")
    ringcentral_jwt: SecretStr = Field(SecretStr(""), description="JWT credential of the user the app acts for.")
    ringcx_base_url: str = Field("https://ringcx.ringcentral.com", description="RingCX. URL.")
    ringcx_access_token: SecretStr = Field(
        SecretStr(""), description="A ready RingCX token, instead of the login. It lives 5 minutes."
    )
    ringcx_account_id: str = Field("", description="RingCentral account id (`rcAccountId`). Absent: found by itself.")
    ringcx_sub_account_ids: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Sub-account ids, separated by commas. Absent: every one that the user may see."
    )
    ringcx_start: datetime | None = Field(
        None, description="Where history begins for the first ingest. ISO 8601 date or time, UTC. Absent: one day back."
    )
    ringcx_newest_first: bool = Field(
        False, description="Whether ingest catches up from the newest window back, instead of in order."
    )
    ringcx_window_seconds: int = Field(
        900, ge=60, le=10800, description="The grid on which windows are counted. Seconds."
    )
    ringcx_offset_seconds: int = Field(
        300, ge=0, description="How long after its end a window is first asked for. Seconds."
    )
    ringcx_max_interval_seconds: int = Field(
        3600, ge=60, le=10800, description="Longest span of one metadata request. Seconds."
    )
    ringcx_transcript_limits: Limits = Field(
        parse_limits("120/60"), description="Transcript requests/seconds, several separated by commas."
    )
    ringcx_metadata_limits: Limits = Field(
        parse_limits("3/60,9/900"), description="Metadata requests/seconds, for each sub-account."
    )
    ringcx_auth_limits: Limits = Field(
        parse_limits("5/60"), description="Login requests/seconds, for RingCentral and for RingCX each."
    )
    ringcx_admin_limits: Limits = Field(
        parse_limits("30/60"), description="Account look-ups, requests/seconds. RingCX documents none; ours is careful."
    )
    ringcx_reserve: int = Field(
        1, ge=0, description="Metadata requests of each limit that backfill and reconcile leave free for ingest."
    )
    ringcx_concurrency: int = Field(8, ge=1, le=64, description="Transcript requests in flight at once.")
    ringcx_timeout_seconds: float = Field(30.0, gt=0, description="Longest time for one attempt of a request. Seconds.")
    ringcx_retry_attempts: int = Field(5, ge=1, description="Attempts at one request before it is left for later.")
    ringcx_penalty_seconds: float = Field(
        60.0, gt=0, description="Silence after a 429 that names no Retry-After. Seconds."
    )
    ringcx_reject_after: int = Field(
        3,
        ge=1,
        description="Attempts before a repeated never (400, errorCode, unreadable body) is believed of a transcript.",
    )
    ringcx_retention_days: float = Field(
        90.0, gt=0, description="How long RingCX keeps transcripts; one that is not there by then has expired. Days."
    )
    ringcx_token_seconds: float = Field(300.0, gt=0, description="How long a RingCX token lives. Seconds.")
    ringcx_lake: str = Field(
        DEFAULT_LAKE, description="The lake: a folder, `sqlite:<file>` or a `postgresql://` URI of its catalog."
    )
    ringcx_data_path: str | None = Field(
        None, description="Where the Parquet files live: a folder or `s3://bucket/prefix`. Absent: beside the catalog."
    )
    ringcx_snapshot_days: int = Field(
        7, ge=2, description="How far back the lake's tables can be read as they were. Whole UTC days."
    )
    ringcx_state_path: Path = Field(
        default_factory=lambda: user_state_path("ringcx-etl"),
        description="Folder for what processes with the same credentials share: quota logs and tokens.",
    )
    ringcx_audio_path: Path = Field(Path("audio"), description="Folder for the audio of calls.")
    ringcx_media_control_limits: Limits = Field(
        parse_limits("60/60"), description="Stream starts and stops, requests/seconds. RingCX documents none."
    )
    ringcx_profile_path: str = Field(
        "/platform/api/media/product",
        pattern=r"^(/[\w.-]+)+$",
        description="Where RingCX keeps streaming profiles; older accounts: `/media-distributor/product`. Path.",
    )
    ringcx_recordings: bool = Field(False, description="Whether the schedule also downloads recordings.")
    ringcx_recording_limits: Limits = Field(
        parse_limits("120/60"), description="Recording requests/seconds, several separated by commas."
    )
    ringcx_recording_ready_seconds: float = Field(
        900.0, ge=0, description="How long after a segment's end its recording is first asked for. Seconds."
    )
    ringcx_summaries: bool = Field(False, description="Whether the schedule also fetches summaries.")
    ringcx_summary_limits: Limits = Field(
        parse_limits("120/60"), description="Summary requests/seconds, several separated by commas."
    )
    ringcx_transcribe: bool = Field(
        False, description="Whether the schedule also puts audio without a transcript through speech to text."
    )
    ringcx_transcribe_engine: Literal["pocketsphinx", "ringcentral-ai", "google"] = Field(
        "pocketsphinx", description="Who hears it: pocketsphinx (here, offline), ringcentral-ai or google."
    )
    ringcx_transcribe_minutes: float = Field(
        60.0, gt=0, description="Budget of one run of speech to text. Minutes of audio."
    )
    ringcx_transcribe_language: str = Field("en-US", description="Language that is spoken. BCP 47.")
    ringcx_ai_limits: Limits = Field(
        parse_limits("30/60"), description="AI API requests/seconds. RingCentral documents none; ours is careful."
    )
    ringcx_webhook_url: str = Field(
        "", description="Public address of `ringcx-etl webhook`, for the AI API's answers. Absent: it is asked. URL."
    )
    ringcx_webhook_port: int = Field(8500, ge=0, le=65535, description="Port of `ringcx-etl webhook`.")
    ringcx_receive_host: str = Field("127.0.0.1", description="Address that `ringcx-etl receive` listens on.")
    ringcx_receive_wss_port: int = Field(8443, ge=0, le=65535, description="Its port for WSS; 0: any free one.")
    ringcx_receive_grpc_port: int = Field(
        10443, ge=0, le=65535, description="Its port for gRPC; RingCX wants 443 or 10443; 0: any free one."
    )
    ringcx_receive_url: str = Field(
        "", description="Public address of the receiver, for `ringcx-etl stream start`: `wss://...` or `grpcs://...`."
    )
    ringcx_receive_certificate: Path = Field(
        Path("receiver.crt"), description="The receiver's TLS certificate, with its chain. PEM file."
    )
    ringcx_receive_key: Path = Field(Path("receiver.key"), description="The key of that certificate. PEM file.")
    ringcx_receive_tokens: SecretStr = Field(
        SecretStr(""), description="Tokens, or secrets of streaming profiles, that callers may show; comma list."
    )
    ringcx_receive_calls: int = Field(500, ge=1, description="Calls received at once; more are refused.")
    ringcx_receive_seconds: float = Field(14400.0, gt=0, description="Longest call that is received. Seconds.")
    ringcx_receive_idle_seconds: float = Field(
        60.0, gt=0, description="Silence of a connection after which a call counts as cut. Seconds."
    )
    ringcx_receive_message_bytes: int = Field(65536, ge=1024, description="Longest message of a stream. Bytes.")
    ringcx_receive_reorder_chunks: int = Field(
        50, ge=0, description="How many chunks later a chunk may come and still find its place."
    )
    ringcx_receive_grace_seconds: float = Field(
        10.0, ge=0, description="How long running calls may go on when the receiver is told to end. Seconds."
    )
    ringcx_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING", description="Least severe log line that is shown."
    )

    @field_validator("ringcentral_base_url", "ringcx_base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        TypeAdapter(HttpUrl).validate_python(value)
        return value.rstrip("/")

    @field_validator("ringcx_sub_account_ids", mode="before")
    @classmethod
    def _comma_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator(
        *(f"ringcx_{group}_limits" for group in LIMITED),
        mode="before",
    )
    @classmethod
    def _limits(cls, value: object) -> object:
        return parse_limits(value) if isinstance(value, str) else value

    @field_validator("ringcx_access_token", "ringcentral_client_secret", "ringcentral_jwt", mode="after")
    @classmethod
    def _one_word(cls, value: SecretStr) -> SecretStr:
        text = _shown(value).strip()
        if not text.isprintable() or " " in text:
            raise ValueError("must be one word, without spaces or line breaks in it")
        return SecretStr(text)

    @field_validator("ringcx_start")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ringcx_max_interval_seconds < self.ringcx_window_seconds:
            raise ValueError("RINGCX_MAX_INTERVAL_SECONDS must be at least RINGCX_WINDOW_SECONDS")
        given = [self.ringcentral_client_id, *map(_shown, (self.ringcentral_client_secret, self.ringcentral_jwt))]
        if any(given) and not all(given) and not _shown(self.ringcx_access_token):
            names = ("RINGCENTRAL_CLIENT_ID", "RINGCENTRAL_CLIENT_SECRET", "RINGCENTRAL_JWT")
            missing = ", ".join(name for name, value in zip(names, given, strict=True) if not value)
            raise ValueError(f"the login needs {missing} too")
        return self

    def require_credentials(self) -> None:
        """Raise SettingsError unless there is a way to get a token."""
        if not (_shown(self.ringcx_access_token) or _shown(self.ringcentral_jwt)):
            raise SettingsError(
                "No credentials. Set RINGCENTRAL_CLIENT_ID, RINGCENTRAL_CLIENT_SECRET and RINGCENTRAL_JWT (or a ready"
                " token in RINGCX_ACCESS_TOKEN) in the environment or in .env; `ringcx-etl demo` needs none."
            )

    @property
    def state_folder(self) -> Path:
        """Where processes with these credentials meet. Ready tokens have no name: all of one server share a folder."""
        who = f"{self.ringcx_base_url}\n{self.ringcentral_client_id}\n{_shown(self.ringcentral_jwt)}"
        return self.ringcx_state_path / hashlib.sha256(who.encode()).hexdigest()[:16]


def _shown(secret: SecretStr) -> str:
    return secret.get_secret_value()


def load_settings(**overrides: object) -> Settings:
    """The settings, with `overrides` (by field name) before the environment. Raises SettingsError."""
    try:
        return Settings(**cast("Any", overrides))
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0]).upper() if problem["loc"] else ""
            said = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {said}" if name else said)
        raise SettingsError("\n".join([*lines, "See `ringcx-etl settings` for what each means."])) from None
