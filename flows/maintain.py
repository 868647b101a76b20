"""The nightly flow: the lake is kept small."""

from typing import cast

from prefect import get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.states import Failed

from flows import upkeep
from flows.direct import direct_flow
from flows.pipeline import unbroken
from flows.settings import SettingsError, load_settings
from flows.upkeep import Upkeep
from sinks.errors import LakeError
from sinks.maintenance import Size


@direct_flow("maintain")
async def maintain() -> Upkeep:
    """Merge small files, expire snapshots beyond RINGCX_SNAPSHOT_DAYS, remove files that nobody needs any more.

    Anything may read and write meanwhile.
    """
    try:
        done = await unbroken(upkeep.maintain, load_settings())
    except (LakeError, SettingsError) as error:
        return cast("Upkeep", Failed(message=str(error), data=error))
    await acreate_markdown_artifact(markdown(done), key="maintain", description="What this maintenance saved")
    get_run_logger().info(one_line(done))
    return done


def one_line(done: Upkeep) -> str:
    """What was done, for the log."""
    did = done.did
    before, after = sum(did.before.values(), Size()), sum(did.after.values(), Size())
    return (
        f"maintain run_id={done.run_id} files={before.files} left={after.files} bytes={before.bytes} left={after.bytes}"
        f" snapshots_expired={did.snapshots_expired} files_removed={did.files_removed}"
        f" orphans_removed={did.orphans_removed} strangers={len(did.strangers)} seconds={done.seconds:.1f}"
    )


def markdown(done: Upkeep) -> str:
    """The same as a page: what each table took before and after, what was removed, what was left alone."""
    did = done.did
    rows = (
        f"| {name} | {did.before[name].files:,} | {did.after[name].files:,} |"
        f" {did.before[name].bytes:,} | {did.after[name].bytes:,} |"
        for name in did.before
    )
    page = f"""
## maintain {done.started_at:%Y-%m-%d %H:%M} UTC

| table | files before | after | bytes before | after |
|---|---:|---:|---:|---:|
"""
    said = (
        f"**{did.snapshots_expired:,}** snapshots expired, **{did.files_removed:,}** old files and"
        f" **{did.orphans_removed:,}** orphans removed; {done.seconds:.1f} s."
    )
    lines = [page.strip(), *rows, "", said]
    if did.strangers:
        lines += ["", "### Not ours, in the lake's folder", "", *(f"- `{path}`" for path in did.strangers)]
        lines += ["", "Move them elsewhere: until then no orphan is removed."]
    return "\n".join(lines)
