"""Prefect events that say how fresh the data is, for automations: one for each sub-account after each ingest.

    ringcx-etl.data.fresh    polled up to where the pass was due to come, or one window short of it
    ringcx-etl.data.stale    further behind

Their resource is `ringcx-etl.sub-account.<id>`; their payload says up to when everything was polled.
"""

from prefect.events import emit_event

from flows.loading import Report
from flows.planning import Grid
from flows.windows import horizon

FRESH, STALE = "ringcx-etl.data.fresh", "ringcx-etl.data.stale"


def announce(report: Report, grid: Grid) -> None:
    """Emit the events of one ingest. Without a server they go nowhere."""
    for sub_account_id, event in judged(report, grid).items():
        until = report.covered[sub_account_id].end
        emit_event(
            event,
            resource={
                "prefect.resource.id": f"ringcx-etl.sub-account.{sub_account_id}",
                "prefect.resource.name": f"sub-account {sub_account_id}",
            },
            payload={
                "covered_until": until.isoformat(),
                "behind_s": (report.finished_at - until).total_seconds(),
                "pending": report.pending,
            },
        )


def judged(report: Report, grid: Grid) -> dict[str, str]:
    """The event of each sub-account that has been polled ever."""
    late = horizon(report.started_at, grid.step, grid.offset) - grid.step
    return {name: FRESH if covered.end >= late else STALE for name, covered in report.covered.items()}
