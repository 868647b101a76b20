"""A process that commits in a loop and says so, for the tests that need several, or one to kill.

    python -m tests.sinks.committer LAKE NAME COMMITS [DATA_PATH]

Commit number n adds 1 to the attempts of the shared segment, and brings segment NAME-n with two utterances.
"""

import sys

from sinks import Append, Lake, Location, Upsert
from tests.sinks.tables import SEGMENTS, UTTERANCES, segments, utterances


def main(address: str, name: str, commits: str, data_path: str | None = None) -> None:
    """Commit, and print the number of each commit that is done."""
    lake = Lake(Location.parse(address, data_path), [SEGMENTS, UTTERANCES])
    for number in range(int(commits)):
        own = f"{name}-{number}"
        lake.commit(
            [
                Upsert(SEGMENTS, segments("shared", attempts=1), update={"attempts": "t.attempts + 1"}),
                Upsert(SEGMENTS, segments(own, state="stored"), keep="t.state = 'stored'", near="ended_at"),
                Append(UTTERANCES, utterances(own), under=SEGMENTS),
            ]
        )
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
