"""Ten questions that people ask of a contact centre, each with its SQL: change them, and ask your own.

    marimo edit flows/notebooks/ten_questions.py      in the browser; `marimo run` shows it without the code
    python flows/notebooks/ten_questions.py           the answers as text

It reads the lake that the settings name (RINGCX_LAKE) and cannot change it; the pipeline may write meanwhile.
"""

# ruff: noqa: B018, PLC0415, PLR1711 - as marimo writes a notebook

import marimo

__generated_with = "0.24.0"
app = marimo.App(width="medium", app_title="Ten questions")


@app.cell
def _():
    import marimo as mo

    from flows import show
    from flows.report import charts
    from flows.runtime import open_lake
    from flows.settings import load_settings

    lake = open_lake(load_settings())
    answers: dict[str, object] = {}
    return answers, charts, lake, mo, show


@app.cell
def _(mo):
    days = mo.ui.slider(1, 366, value=28, label="Days, up to the newest conversation", show_value=True)
    days
    return (days,)


@app.cell
def _(days, lake):
    since = lake.query("SELECT max(day) - ? AS since FROM dialogs", [days.value - 1]).column("since")[0].as_py()
    return (since,)


@app.cell
def _(answers, lake, mo, show, since):
    colours = ["#3b7dd8", "#e08a3c", "#4aa564", "#c2556b", "#8a6bc4", "#8c7051", "#d884b8", "#7f8790"]
    style = "--ink: currentColor; --muted: gray; --line: #8884;"
    style += "".join(f"--series-{number}: {colour};" for number, colour in enumerate(colours))

    def answer(question, sql, chart=None):
        """The question, its chart and its rows; as text where this runs as a script."""
        rows = show.plain_json(lake.query(sql, {"since": since} if "$since" in sql else None))
        answers[question] = rows
        if mo.app_meta().mode == "script":
            print(question)
            show.rows(rows, "table", None)
        shown = [mo.md(f"## {question}"), mo.ui.table(rows, selection=None, page_size=15)]
        if chart and rows.num_rows:
            shown.insert(1, mo.Html(f'<div style="{style}">{chart(rows.to_pylist())}</div>'))
        return mo.vstack(shown)

    return (answer,)


@app.cell
def _(answer, charts):
    def by_hour(rows):
        channels = {row["channel_type"]: [0] * 24 for row in rows}
        for row in rows:
            channels[row["channel_type"]][row["hour"]] = row["conversations"]
        return charts.by_hour_of_day(channels)

    answer(
        "1. When do people reach us, and how?",
        """
        SELECT extract(hour FROM hour AT TIME ZONE 'UTC') AS hour, coalesce(channel_type, 'unknown') AS channel_type,
            CAST(sum(conversations) AS BIGINT) AS conversations
        FROM hourly_volume
        WHERE hour >= CAST($since AS DATE)
        GROUP BY ALL ORDER BY ALL
        """,
        by_hour,
    )
    return


@app.cell
def _(answer):
    answer(
        "2. How long do they wait for a first answer?",
        """
        SELECT channel_type, count(*) AS conversations, count(first_response_seconds) AS answered,
            median(first_response_seconds) AS median_seconds,
            quantile_cont(first_response_seconds, 0.9) AS p90_seconds
        FROM conversations
        WHERE day >= $since AND direction = 'INBOUND'
        GROUP BY ALL ORDER BY conversations DESC
        """,
    )
    return


@app.cell
def _(answer, charts):
    def talk(rows):
        bars = [(row["agent"], 100 * row["talk_share"]) for row in rows if row["talk_share"] is not None]
        return charts.shares(bars[:20], "talk", "Share of the agent in all words")

    answer(
        "3. Who talks, and who listens?",
        """
        SELECT coalesce(max(agent_name), agent_id) AS agent, CAST(sum(conversations) AS BIGINT) AS conversations,
            CAST(sum(words) AS BIGINT) AS words, sum(words) / nullif(sum(words) + sum(contact_words), 0) AS talk_share
        FROM agent_daily
        WHERE day >= $since
        GROUP BY sub_account_id, agent_id ORDER BY conversations DESC, agent LIMIT 50
        """,
        talk,
    )
    return


@app.cell
def _(answer):
    answer(
        "4. Where is the longest silence on a call, and what ends it?",
        """
        SELECT day, dialog_id, turn, gap_seconds, speaker, message
        FROM turns
        WHERE day >= $since AND channel_class = 'VOICE' AND gap_seconds IS NOT NULL
        ORDER BY gap_seconds DESC LIMIT 15
        """,
    )
    return


@app.cell
def _(answer):
    answer(
        "5. How often is a conversation handed on, and what does that cost?",
        """
        SELECT transfers, count(*) AS conversations, count(*) / sum(count(*)) OVER () AS share,
            median(date_diff('second', started_at, ended_at)) AS median_seconds
        FROM dialogs
        WHERE day >= $since
        GROUP BY transfers ORDER BY transfers
        """,
    )
    return


@app.cell
def _(answer, charts):
    def ends(rows):
        bars = [(row["disposition"], 100 * row["share"]) for row in rows if row["chosen_by"] == "agent"]
        return charts.shares(bars[:20], "ends", "Share of an agent's disposition")

    answer(
        "6. How do conversations end?",
        """
        SELECT *, segments / sum(segments) OVER (PARTITION BY chosen_by) AS share
        FROM (
            SELECT chosen_by, disposition, CAST(sum(segments) AS BIGINT) AS segments
            FROM disposition_daily
            WHERE day >= $since
            GROUP BY ALL
        )
        ORDER BY chosen_by, segments DESC, disposition
        """,
        ends,
    )
    return


@app.cell
def _(answer):
    answer(
        "7. Which words of ours come before a complaint more often than otherwise?",
        """
        WITH complaints AS (
            SELECT sub_account_id, dialog_id, min(turn) AS turn
            FROM turns
            WHERE day >= $since AND speaker = 'contact'
                AND regexp_matches(lower(message), 'complain|refund|cancel|unacceptable|close.*account|still no')
            GROUP BY ALL
        ), said AS (
            SELECT t.sub_account_id, t.dialog_id, t.turn BETWEEN c.turn - 2 AND c.turn - 1 AS is_before,
                unnest(regexp_extract_all(lower(t.message), '[^[:space:][:punct:][:digit:]]{4,}')) AS word
            FROM turns AS t LEFT JOIN complaints AS c USING (sub_account_id, dialog_id)
            WHERE t.day >= $since AND t.speaker = 'agent'
        )
        SELECT word, count(*) FILTER (is_before) AS before_complaints, count(*) AS in_all,
            before_complaints / (SELECT count(*) FROM said WHERE is_before)
            / (in_all / (SELECT count(*) FROM said)) AS times_as_often
        FROM said
        GROUP BY word HAVING before_complaints > 2
        ORDER BY times_as_often DESC, word LIMIT 20
        """,
    )
    return


@app.cell
def _(answer):
    answer(
        "8. Which conversations have no transcript, and why?",
        """
        SELECT channel_type, segment_type, transcript_state, count(*) AS segments,
            count(DISTINCT dialog_id) AS conversations, max(transcript_error) AS said
        FROM segments
        WHERE segment_end_time >= CAST($since AS DATE) AND transcript_state <> 'stored'
        GROUP BY ALL ORDER BY segments DESC
        """,
    )
    return


@app.cell
def _(answer):
    answer(
        "9. How many contacts come back within a week?",
        """
        SELECT channel_type, count(*) AS conversations, count(DISTINCT contact) AS contacts,
            count(*) FILTER (started_at - before <= INTERVAL 7 DAY) AS came_back,
            came_back / count(*) AS share
        FROM (
            SELECT *, lag(started_at) OVER (PARTITION BY sub_account_id, contact ORDER BY started_at) AS before
            FROM dialogs
            WHERE contact IS NOT NULL
        )
        WHERE day >= $since
        GROUP BY ALL ORDER BY conversations DESC
        """,
    )
    return


@app.cell
def _(answer):
    answer(
        "10. How fresh and how whole is all this?",
        """
        SELECT *
        FROM (
            SELECT sub_account_id, min(covered_from) AS polled_from, max(covered_until) AS polled_until,
                count(*) - 1 AS gaps
            FROM covered GROUP BY sub_account_id
        )
        LEFT JOIN (
            SELECT sub_account_id, count(*) FILTER (has_transcript) AS flagged,
                count(*) FILTER (transcript_state = 'stored') AS stored,
                count(*) FILTER (transcript_state = 'pending') AS still_to_come
            FROM segments GROUP BY sub_account_id
        ) USING (sub_account_id)
        ORDER BY sub_account_id
        """,
    )
    return


if __name__ == "__main__":
    app.run()
