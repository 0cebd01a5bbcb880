-- Controls are tested again and again
-- population: spans of time from the begin of the period, each as long as tests may be apart, that lie within it and
--   begin when the log was there
-- exception: no test ran in it
-- rests on: tested event
-- settings: tests_h=24 (hours in which the controls have to be tested)
WITH RECURSIVE span AS (
    SELECT CAST(value * 3600000 AS BIGINT) AS span_ms FROM setting WHERE name = 'tests_h' AND value > 0
),
opened AS (
    SELECT MIN(ts_ms) AS ts_ms FROM event
),
windows AS (
    SELECT 0 AS number, p.since_ms AS begin_ms, s.span_ms, p.until_ms
    FROM span s, period p
    WHERE p.since_ms + s.span_ms <= p.until_ms
    UNION ALL
    SELECT number + 1, begin_ms + span_ms, span_ms, until_ms
    FROM windows
    WHERE begin_ms + 2 * span_ms <= until_ms
),
runs AS (
    SELECT DISTINCT entry, ts_ms FROM tested
),
counted AS (
    SELECT CAST((r.ts_ms - p.since_ms - (r.ts_ms - p.since_ms) % s.span_ms) / s.span_ms AS BIGINT) AS number, MAX(r.entry) AS entry
    FROM runs r
    CROSS JOIN span s
    CROSS JOIN period p
    WHERE r.ts_ms >= p.since_ms AND r.ts_ms < p.until_ms
    GROUP BY 1
),
found AS (
    SELECT w.number, w.begin_ms, c.entry, MAX(c.entry) OVER (ORDER BY w.number ROWS UNBOUNDED PRECEDING) AS before_entry
    FROM windows w
    CROSS JOIN opened o
    LEFT JOIN counted c ON c.number = w.number
    WHERE w.begin_ms >= o.ts_ms
)
SELECT COALESCE(entry, before_entry, 0) AS entry, begin_ms AS ts_ms, 'span ' || CAST(number + 1 AS TEXT) AS subject,
    CASE WHEN entry IS NULL THEN 'no test of controls ran' ELSE '' END AS exception
FROM found
ORDER BY 1, 3, 4
