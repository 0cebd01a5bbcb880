-- People look at what was recorded, and at the rights that are in force, again and again
-- population: spans of time, counted back from the end of the period, each as long as a review may be apart from the
--   next; those that end within the period and begin when the log was there
-- exception: nobody looked at findings or evidence in it (review of the log); nobody opened a review of rules that
--   nobody uses, recorded a review of who may do what, or looked at people, agents or grants (review of rights)
-- rests on: finding_move viewed review access_review event
-- settings: review_d=7 (days in which somebody has to look at findings or evidence)
-- settings: rights_review_d=92 (days in which somebody has to review the rights in force)
WITH RECURSIVE spans AS (
    SELECT 'log' AS kind, CAST(value * 86400000 AS BIGINT) AS span_ms FROM setting WHERE name = 'review_d' AND value > 0
    UNION ALL
    SELECT 'rights', CAST(value * 86400000 AS BIGINT) FROM setting WHERE name = 'rights_review_d' AND value > 0
),
opened AS (
    SELECT MIN(ts_ms) AS ts_ms FROM event
),
windows AS (
    SELECT s.kind, s.span_ms, 0 AS number, p.until_ms - s.span_ms AS begin_ms, p.since_ms, p.until_ms
    FROM spans s, period p
    UNION ALL
    SELECT kind, span_ms, number + 1, begin_ms - span_ms, since_ms, until_ms
    FROM windows
    WHERE begin_ms > since_ms
),
looks AS (
    SELECT 'log' AS kind, m.entry, m.ts_ms FROM finding_move m WHERE m.by <> ''
    UNION ALL SELECT 'log', v.entry, v.ts_ms FROM viewed v WHERE v.by <> ''
    UNION ALL SELECT 'rights', r.entry, r.ts_ms FROM review r WHERE r.by <> ''
    UNION ALL SELECT 'rights', a.entry, a.ts_ms FROM access_review a
    UNION ALL SELECT 'rights', v.entry, v.ts_ms FROM viewed v WHERE v.by <> '' AND v.what IN ('people', 'person', 'agents', 'agent', 'grants', 'grant')
),
counted AS (
    SELECT s.kind, CAST((p.until_ms - 1 - l.ts_ms - (p.until_ms - 1 - l.ts_ms) % s.span_ms) / s.span_ms AS BIGINT) AS number,
        MAX(l.entry) AS entry
    FROM looks l
    JOIN spans s ON s.kind = l.kind
    CROSS JOIN period p
    WHERE l.ts_ms < p.until_ms
    GROUP BY 1, 2
),
found AS (
    SELECT w.kind, w.number, w.begin_ms, w.since_ms, c.entry,
        MAX(c.entry) OVER (PARTITION BY w.kind ORDER BY w.begin_ms ROWS UNBOUNDED PRECEDING) AS before_entry,
        ROW_NUMBER() OVER (PARTITION BY w.kind ORDER BY w.begin_ms) AS place
    FROM windows w
    CROSS JOIN opened o
    LEFT JOIN counted c ON c.kind = w.kind AND c.number = w.number
    WHERE w.begin_ms >= o.ts_ms
)
SELECT COALESCE(entry, before_entry, 0) AS entry, CASE WHEN begin_ms < since_ms THEN since_ms ELSE begin_ms END AS ts_ms,
    'review of the ' || kind || ', span ' || CAST(place AS TEXT) AS subject,
    CASE
        WHEN entry IS NOT NULL THEN ''
        WHEN kind = 'log' THEN 'nobody looked at findings or evidence'
        ELSE 'nobody reviewed the rights in force'
    END AS exception
FROM found
ORDER BY 1, 3, 4
