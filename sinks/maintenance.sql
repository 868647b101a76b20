-- What compaction would leave of each table, guessed from the catalog alone.
-- Grain: one row per table. Columns: name; files (data and delete files), bytes. Parameters: the share of deleted rows
-- from which a file is rewritten; the size below which a table's files are rewritten for any row, and that from which a
-- file is not merged any more, in bytes.
WITH deleted AS (
    SELECT data_file_id, sum(delete_count) AS rows, sum(file_size_bytes) AS bytes
    FROM lake_catalog.ducklake_delete_file
    WHERE end_snapshot IS NULL
    GROUP BY data_file_id
),
sizes AS (
    SELECT table_id, sum(f.file_size_bytes) + coalesce(sum(d.bytes), 0) AS bytes
    FROM lake_catalog.ducklake_data_file AS f
    LEFT JOIN deleted AS d USING (data_file_id)
    WHERE f.end_snapshot IS NULL
    GROUP BY table_id
),
places AS (
    SELECT data_file_id, string_agg(partition_value, '/' ORDER BY partition_key_index) AS place
    FROM lake_catalog.ducklake_file_partition_value
    GROUP BY data_file_id
),
files AS (
    SELECT
        f.table_id,
        p.place,
        d.rows IS NULL AS is_whole,
        d.rows IS NOT NULL AND (s.bytes < $small OR d.rows / f.record_count >= $threshold) AS is_rewritten,
        f.file_size_bytes + coalesce(d.bytes, 0) AS bytes_as_is,
        f.file_size_bytes * (1 - coalesce(d.rows / f.record_count, 0)) AS bytes_left
    FROM lake_catalog.ducklake_data_file AS f
    LEFT JOIN deleted AS d USING (data_file_id)
    LEFT JOIN places AS p USING (data_file_id)
    JOIN sizes AS s USING (table_id)
    WHERE f.end_snapshot IS NULL
),
groups AS (
    SELECT
        table_id,
        CASE
            WHEN (is_whole OR is_rewritten) AND bytes_left < $target THEN ceil(sum(bytes_left) / $target)
            ELSE sum(CASE WHEN is_whole OR is_rewritten THEN 1 ELSE 2 END)
        END AS files,
        sum(CASE WHEN is_whole OR is_rewritten THEN bytes_left ELSE bytes_as_is END) AS bytes
    FROM files
    GROUP BY table_id, place, (is_whole OR is_rewritten) AND bytes_left < $target, is_whole OR is_rewritten
)
SELECT t.table_name AS name, coalesce(sum(g.files), 0)::BIGINT AS files, coalesce(sum(g.bytes), 0)::BIGINT AS bytes
FROM lake_catalog.ducklake_table AS t
LEFT JOIN groups AS g USING (table_id)
WHERE t.end_snapshot IS NULL
GROUP BY t.table_name
