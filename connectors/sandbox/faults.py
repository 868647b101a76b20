"""Trouble on demand: what goes wrong, for which share of the requests or segments, always the same for the same seed.

A *fault* is one wrong answer. A *transient* fault hits the first attempt(s) on one resource and then stops, so that a
client that retries gets through. A *scripted* fault hits the next request of a group, whatever it asks for. A fault of
*life* is a property of a segment (late, missing, rejected), and one of *content* a property of an answer (junk beside
the good items).
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

WITH_ERROR_CODE = ("metadata", "transcripts")  # groups whose bodies can carry an `errorCode`


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One wrong answer; `Fault()` is a right one, to leave a request of a script alone.

    `delay_s` combines with the others. `status` answers the documented body of that status (401: in plain text), or
    `body` if given. `reset` closes the socket without an answer, `cut_headers` in the middle of the headers, `truncate`
    in the middle of the body of the right answer. `html` is a 200 that is a web page; `error_code` a 200 that carries
    an `errorCode`. `expired` is a 401 that also revokes the token it came with. `penalty` starts the real penalty of
    the group (429).
    """

    status: int | None = None
    body: str | None = None
    retry_after_s: int | None = None
    penalty: bool = False
    reset: bool = False
    cut_headers: bool = False
    truncate: bool = False
    html: bool = False
    error_code: str | None = None
    expired: bool = False
    delay_s: float = 0

    @property
    def name(self) -> str:
        """A short name for the request log, such as `reset`, `503` or `429+penalty`; empty for `Fault()`."""
        parts = [word for word in ("reset", "cut_headers", "truncate", "html", "expired") if getattr(self, word)]
        parts += [str(self.status)] if self.status is not None else []
        parts += ["penalty"] if self.penalty else []
        parts += [f"error_code:{self.error_code}"] if self.error_code is not None else []
        parts += ["slow"] if self.delay_s else []
        return "+".join(parts)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which faults occur by chance; a share is a probability between 0 and 1, and everything is off by default.

    Shares of transient faults add up (one resource has one kind of trouble), so their sum must not exceed 1.
    Which segment or resource is hit depends on `seed` and its ids alone, not on the order of the requests.
    """

    seed: int = 0
    # Life of a segment. The delays count from the moment at which the thing would have been there.
    late_metadata_share: float = 0
    late_metadata_s: float = 1800
    late_flag_share: float = 0  # hasTranscript turns true later than the metadata appears
    late_flag_s: float = 1800
    late_transcript_share: float = 0  # 404 for longer than usual
    late_transcript_s: float = 1800
    missing_transcript_share: float = 0  # 404 for ever, although hasTranscript is true
    rejected_transcript_share: float = 0  # 200 with `rejected_code` for ever
    rejected_code: str = "transcript.generation.failed"
    moved_end_share: float = 0  # segmentEndTimeMs is first shown `moved_end_by_s` too early, and put right later
    moved_end_by_s: float = 600
    moved_end_after_s: float = 1800
    # Transient faults of one resource (a window of metadata, a transcript), at most `transient_times` times each. Other
    # groups may be added: "recordings", "summaries", "ai", "media-control" ...
    transient_groups: tuple[str, ...] = ("metadata", "transcripts")
    transient_times: int = 2
    error_500_share: float = 0
    error_503_share: float = 0
    throttled_share: float = 0  # 429 that starts the real penalty of the group
    throttled_bare_share: float = 0  # 429 without Retry-After and without a penalty
    reset_share: float = 0
    cut_headers_share: float = 0
    truncated_share: float = 0
    html_share: float = 0
    expired_share: float = 0
    error_code_share: float = 0  # 200 with `temporary_code`
    temporary_code: str = "transcript.temporarily.unavailable"
    slow_share: float = 0
    slow_s: float = 5
    # Speech jobs, by their number; the shares add up to 1 at most.
    job_fail_share: float = 0
    job_silent_share: float = 0  # no webhook is called
    job_twice_share: float = 0
    job_early_share: float = 0  # the webhook is called before the job's id is told
    job_expired_share: float = 0
    # Content. Junk comes beside the good items, never instead of them, and is the same each time.
    malformed_item_share: float = 0  # per metadata item: a broken copy, a null, or a string beside it
    duplicate_item_share: float = 0  # per metadata item: the same item twice
    malformed_phrase_share: float = 0  # per transcript: one broken phrase among the good ones
    unknown_field_share: float = 0  # per item, phrase and top level: a field nobody has documented


def draw(seed: int, kind: str, *key: object) -> float:
    """A number in `[0, 1)` that is always the same for the same arguments, and otherwise looks random."""
    digest = hashlib.blake2b(repr((seed, kind, *key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class FaultPlan:
    """Which fault the next request gets: a scripted one first, otherwise a transient one by chance."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._scripts: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._attempts: defaultdict[tuple[object, ...], int] = defaultdict(int)
        self._shares = [(share, fault) for share, fault in _transient(faults) if share > 0]
        if sum(share for share, _ in self._shares) > 1:
            raise ValueError("the shares of the transient faults add up to more than 1")

    def script(self, group: str, faults: Iterable[Fault]) -> None:
        """Let the next requests of `group` (`"transcripts"`, `"metadata"`, `"auth-ringcx"` ...) have these, in order.

        Only requests within the rate limit use them up. Safe to call from another thread than the server's.
        """
        self._scripts[group].extend(faults)

    def next(self, group: str, key: tuple[object, ...]) -> Fault | None:
        """The fault of one request for the resource `key`, counted as an attempt on it; None for a right answer."""
        if script := self._scripts[group]:
            return script.popleft()
        if not self._shares or group not in self.faults.transient_groups:
            return None
        attempt = self._attempts[group, *key] = self._attempts[group, *key] + 1
        fault = self._kind(group, key)
        times = 1 + int(draw(self.faults.seed, "times", group, *key) * self.faults.transient_times)
        return fault if fault and attempt <= min(times, self.faults.transient_times) else None

    def _kind(self, group: str, key: tuple[object, ...]) -> Fault | None:
        point = draw(self.faults.seed, "transient", group, *key)
        for share, fault in self._shares:
            if point < share:
                return fault if fault.error_code is None or group in WITH_ERROR_CODE else None
            point -= share
        return None


def _transient(faults: Faults) -> list[tuple[float, Fault]]:
    return [
        (faults.error_500_share, Fault(status=500)),
        (faults.error_503_share, Fault(status=503)),
        (faults.throttled_share, Fault(status=429, penalty=True)),
        (faults.throttled_bare_share, Fault(status=429)),
        (faults.reset_share, Fault(reset=True)),
        (faults.cut_headers_share, Fault(cut_headers=True)),
        (faults.truncated_share, Fault(truncate=True)),
        (faults.html_share, Fault(html=True)),
        (faults.expired_share, Fault(expired=True)),
        (faults.error_code_share, Fault(error_code=faults.temporary_code)),
        (faults.slow_share, Fault(delay_s=faults.slow_s)),
    ]
