"""What the AI API makes of some audio: words, utterances and insights out of known lines. Pure; times in seconds.

Speakers are numbered in the order in which they first speak, as strings.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from connectors.sandbox.faults import draw
from connectors.sandbox.sound.library import Said

EMOTIONS = ("Neutral", "Neutral", "Neutral", "Joy", "Anger", "Surprise", "Trust")
QUICK_WPM, SLOW_WPM = 160, 110


class Utterance(NamedTuple):
    """One line with its place in the audio and its speaker."""

    text: str
    start: float
    end: float
    speaker: str


def utterances(lines: Sequence[Said], seconds: float) -> list[Utterance]:
    """The lines, laid over the audio by their length where they have no times of their own."""
    speakers = {role: str(number) for number, role in enumerate(dict.fromkeys(line.role for line in lines))}
    total = sum(len(line.text) + 8 for line in lines)
    placed, at = [], 0.0
    for line in lines:
        start = at if line.start_s is None else min(line.start_s, seconds)
        at = min(seconds, start + seconds * (len(line.text) + 8) / total)
        placed.append(Utterance(line.text, round(start, 2), round(at, 2), speakers[line.role]))
    return placed


def speech_to_text(found: Sequence[Utterance], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The response of `speech-to-text`; utterances and speakers only if `enableSpeakerDiarization` was asked for."""
    with_speakers = asked.get("enableSpeakerDiarization") is True
    words = [word for one in found for word in _words(one, with_speaker=with_speakers)]
    confidence = round(sum(word["confidence"] for word in words) / len(words), 2) if words else 0.0
    response: dict[str, Any] = {
        "confidence": confidence,
        "transcript": " ".join(one.text for one in found),
        "words": words,
    }
    if with_speakers:
        response["speakerCount"] = len({one.speaker for one in found})
        response["utterances"] = [
            {
                "text": one.text,
                "start": one.start,
                "end": one.end,
                "speakerId": one.speaker,
                "confidence": _confidence(one.text),
                "wordTimings": _words(one, with_speaker=True),
            }
            for one in found
        ]
    return response


def analyze_interaction(found: Sequence[Utterance], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The response of `analyze-interaction`; `insights` names those that are wanted, or `All`."""
    wanted = set(asked.get("insights") or ["All"])

    def is_wanted(name: str) -> bool:
        return bool(wanted & {"All", name})

    per_speaker = [unit for unit in _speaker_insights(found) if is_wanted(unit["name"])]
    return {
        "utteranceInsights": [_utterance_insight(one, with_emotion=is_wanted("Emotion")) for one in found],
        "speakerInsights": {"speakerCount": len({one.speaker for one in found}), "insights": per_speaker},
        "conversationalInsights": [unit for unit in _conversational(found) if is_wanted(unit["name"])],
    }


def _words(one: Utterance, *, with_speaker: bool) -> list[dict[str, Any]]:
    texts = one.text.split()
    step = (one.end - one.start) / max(1, len(texts))
    speaker = {"speakerId": one.speaker} if with_speaker else {}
    return [
        {
            "word": text.strip(".,!?").lower(),
            "start": round(one.start + number * step, 2),
            "end": round(one.start + (number + 1) * step, 2),
            "confidence": _confidence(text),
            **speaker,
        }
        for number, text in enumerate(texts)
    ]


def _confidence(text: str) -> float:
    return round(0.8 + 0.19 * draw(0, "confidence", text), 2)


def _utterance_insight(one: Utterance, *, with_emotion: bool) -> dict[str, Any]:
    emotion = EMOTIONS[int(draw(0, "emotion", one.text) * len(EMOTIONS))]
    unit = {"name": "Emotion", "value": emotion, "confidence": _confidence(one.text)}
    return {
        "start": one.start,
        "end": one.end,
        "text": one.text,
        "confidence": _confidence(one.text),
        "speakerId": one.speaker,
        "insights": [unit] if with_emotion else [],
    }


def _speaker_insights(found: Sequence[Utterance]) -> list[dict[str, Any]]:
    speakers = list(dict.fromkeys(one.speaker for one in found))
    talk_s = {who: sum(one.end - one.start for one in found if one.speaker == who) for who in speakers}
    words = {who: sum(len(one.text.split()) for one in found if one.speaker == who) for who in speakers}
    wpm = {who: round(60 * words[who] / talk_s[who], 1) if talk_s[who] else 0.0 for who in speakers}
    share = {who: round(100 * talk_s[who] / (sum(talk_s.values()) or 1)) for who in speakers}
    return [
        {
            "name": "Energy",
            "values": [{"speakerId": who, "value": round(90 + 5 * draw(0, "energy", who), 2)} for who in speakers],
        },
        {
            "name": "Pace",
            "values": [{"speakerId": who, "value": _pace(wpm[who]), "wpm": wpm[who]} for who in speakers],
        },
        {
            "name": "TalkToListenRatio",
            "values": [{"speakerId": who, "value": f"{share[who]}:{100 - share[who]}"} for who in speakers],
        },
        {"name": "QuestionsAsked", "values": [_questions(found, who) for who in speakers]},
    ]


def _pace(wpm: float) -> str:
    return "fast" if wpm > QUICK_WPM else "slow" if wpm < SLOW_WPM else "medium"


def _questions(found: Sequence[Utterance], who: str) -> dict[str, Any]:
    asked = [one for one in found if one.speaker == who and one.text.endswith("?")]
    questions = [{"text": one.text, "start": one.start, "end": one.end} for one in asked]
    return {"speakerId": who, "value": len(questions), "questions": questions}


def _conversational(found: Sequence[Utterance]) -> list[dict[str, Any]]:
    if not found:
        return []
    span = {"start": found[0].start, "end": found[-1].end}
    summary = f"The first speaker says: {found[0].text} The conversation ends with: {found[-1].text}"
    longest = [max(one.text.split(), key=len).strip(".,!?").lower() for one in found if one.text.split()]
    phrases = [
        {"start": one.start, "end": one.end, "value": word, "confidence": _confidence(word)}
        for one, word in zip(found, longest, strict=False)
    ]
    named = {
        "KeyPhrases": phrases,
        "ExtractiveSummary": [{"start": found[0].start, "end": found[0].end, "sentence": found[0].text}],
        "Topics": [{"value": longest[0] if longest else "", "confidence": 0.9, **span}],
        "AbstractiveSummaryLong": [{"value": summary, "confidence": 0.4, "groupId": "0", **span}],
        "AbstractiveSummaryShort": [{"value": summary[:120], "confidence": 0.4, **span}],
    }
    return [{"name": name, "values": values} for name, values in named.items()]
