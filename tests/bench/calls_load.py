"""Two hundred calls at once, in real time, into one receiver: what is lost, what it costs.

    .venv/bin/python -m tests.bench.calls_load [--streams 200] [--seconds 120] [--transport wss]

A real `ringcx-etl receive` over TLS, and the sandbox's callers in this process: 20 ms a message and two perspectives on
WSS (10,000 messages a second), 100 ms and two segments on gRPC (4,000). Every file is compared with what was sent.
Memory is the resident set of the receiver every two seconds, CPU time its own share of one core while the calls run.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from connectors.sandbox.callers import CallScript, Speaker, dial
from connectors.sandbox.callers.line import Outcome
from sinks.audio import describe
from tests.receiver import Receiver, receiving, recordings, sent

TICKS = os.sysconf("SC_CLK_TCK")
SECOND = 8000  # samples


def main() -> None:
    """Run the calls and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--transport", choices=["wss", "grpc"], default="wss")
    options = parser.parse_args()
    scripts = calls(options.streams, options.seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with receiving(folder) as receiver:
            outcomes, samples, took_s = asyncio.run(talk(receiver, scripts, options.transport))
            said = receiver.stop()
        rows = {(row["dialog_id"], row["segment_id"]): row for row in recordings(folder)}
        wrong = [script.dialog_id for script in scripts if not same(script, options.transport, rows, folder)]
    first, *_, last = samples
    memory = [rss for _, _, rss in samples]
    print(f"{options.streams} calls of {options.seconds} s over {options.transport}; {os.cpu_count()} cores")
    print(f"took {took_s:.1f} s; {sum(sum(one.sent.values()) for one in outcomes):,} chunks sent")
    print(f"callers that were refused or broken off: {sum(bool(one.error) or not one.accepted for one in outcomes)}")
    print(f"calls whose files differ from what was sent: {len(wrong)} {wrong[:3]}")
    print(f"receiver: {(last[1] - first[1]) / (last[0] - first[0]):.0%} of a core", end="; ")
    print(f"MB resident every tenth of the time: {memory[:: max(len(memory) // 10, 1)]}, most {max(memory)}")
    print(said.strip().splitlines()[-1])


def calls(streams: int, seconds: int) -> list[CallScript]:
    """Calls that all differ, cut out of one piece of noise."""
    size = seconds * SECOND
    noise = os.urandom(size + 2 * streams * 997)
    scripts = []
    for number in range(streams):
        name = f"load-{number}"
        begins = [997 * (2 * number + who) for who in range(2)]
        agent, contact = (noise[begin : begin + size] for begin in begins)
        speakers = (
            Speaker(segment_id=f"{name}-agent", kind="AGENT", audio=agent),
            Speaker(segment_id=f"{name}-contact", kind="CONTACT", audio=contact),
        )
        scripts.append(CallScript(dialog_id=name, segment_id=f"{name}-agent", speakers=speakers))
    return scripts


async def talk(
    receiver: Receiver, scripts: list[CallScript], transport: str
) -> tuple[list[Outcome], list[tuple[float, float, int]], float]:
    """All calls at once; the receiver's (time, CPU seconds, MB resident) as it went."""
    samples: list[tuple[float, float, int]] = []

    async def watch() -> None:
        while True:
            samples.append(measure(receiver.process.pid))
            await asyncio.sleep(2)

    watching = asyncio.create_task(watch())
    began = time.monotonic()
    outcomes = await asyncio.gather(*(dial(script, receiver.line(transport)) for script in scripts))
    took_s = time.monotonic() - began
    watching.cancel()
    return list(outcomes), samples, took_s


def measure(pid: int) -> tuple[float, float, int]:
    """Now, CPU seconds so far, MB resident."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return time.monotonic(), (int(fields[11]) + int(fields[12])) / TICKS, pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def same(script: CallScript, transport: str, rows: dict[tuple[str, str], dict[str, object]], folder: Path) -> bool:
    """Whether every file of a call holds what was sent, to the last sample, and its row says complete."""
    for segment_id, audio in sent(script, transport).items():
        row = rows.get((script.dialog_id, segment_id))
        if row is None or row["state"] != "complete" or row["chunks_missing"] or row["chunks_late"]:
            return False
        path = folder / "audio" / str(row["path"])
        if describe(path).audio_bytes != len(audio) or path.read_bytes()[58 : 58 + len(audio)] != audio:
            return False
    return True


if __name__ == "__main__":
    main()
