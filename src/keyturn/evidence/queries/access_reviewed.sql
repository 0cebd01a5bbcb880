-- Somebody looks through who may do what, again and again, and somebody else looks at what that person may do
-- population: spans of time, counted back from the end of the period, each as long as two reviews may be apart; those
--   that end within the period and begin when the log was there. And each person who reviewed in the period, once for
--   each of their reviews
-- exception: nobody looked through who may do what in it; or nobody but themselves looked at what the reviewer may do,
--   within a span before or within the time for it afterwards
-- rests on: access_review event
-- settings: access_review_d=90 (days in which somebody has to look through who may do what)
-- settings: access_apart_d=30 (days in which somebody else has to look at what the reviewer may do)
WITH RECURSIVE span AS (
    SELECT CAST(value * 86400000 AS BIGINT) AS span_ms FROM setting WHERE name = 'access_review_d' AND value > 0
),
later AS (
    SELECT CAST(value * 86400000 AS BIGINT) AS later_ms FROM setting WHERE name = 'access_apart_d'
),
opened AS (
    SELECT MIN(ts_ms) AS ts_ms FROM event
),
windows AS (
    SELECT s.span_ms, 0 AS number, p.until_ms - s.span_ms AS begin_ms, p.since_ms, p.until_ms
    FROM span s, period p
    UNION ALL
    SELECT span_ms, number + 1, begin_ms - span_ms, since_ms, until_ms
    FROM windows
    WHERE begin_ms > since_ms
),
counted AS (
    SELECT CAST((p.until_ms - 1 - r.ts_ms - (p.until_ms - 1 - r.ts_ms) % s.span_ms) / s.span_ms AS BIGINT) AS number,
        MAX(r.entry) AS entry
    FROM access_review r
    CROSS JOIN span s
    CROSS JOIN period p
    WHERE r.ts_ms < p.until_ms
    GROUP BY 1
),
found AS (
    SELECT w.number, w.begin_ms, w.since_ms, c.entry,
        MAX(c.entry) OVER (ORDER BY w.begin_ms ROWS UNBOUNDED PRECEDING) AS before_entry,
        ROW_NUMBER() OVER (ORDER BY w.begin_ms) AS place
    FROM windows w
    CROSS JOIN opened o
    LEFT JOIN counted c ON c.number = w.number
    WHERE w.begin_ms >= o.ts_ms
),
own AS (
    SELECT r.entry, r.ts_ms, r.person, r.ts_ms + l.later_ms AS due_ms, p.until_ms, COUNT(o.entry) AS others_n
    FROM access_review r
    CROSS JOIN span s
    CROSS JOIN later l
    CROSS JOIN period p
    LEFT JOIN access_review o
        ON o.person = r.person AND o.own = 0 AND o.ts_ms > r.ts_ms - s.span_ms AND o.ts_ms <= r.ts_ms + l.later_ms
            AND o.ts_ms < p.until_ms
    WHERE r.own = 1 AND r.ts_ms >= p.since_ms AND r.ts_ms < p.until_ms
    GROUP BY r.entry, r.ts_ms, r.person, l.later_ms, p.until_ms
)
SELECT COALESCE(entry, before_entry, 0) AS entry, CASE WHEN begin_ms < since_ms THEN since_ms ELSE begin_ms END AS ts_ms,
    'who may do what, span ' || CAST(place AS TEXT) AS subject,
    CASE WHEN entry IS NULL THEN 'nobody looked through it' ELSE '' END AS exception
FROM found
UNION ALL
SELECT entry, ts_ms, person,
    CASE
        WHEN others_n = 0 AND due_ms < until_ms THEN 'nobody but ' || person || ' looked at what ' || person || ' may do'
        ELSE ''
    END
FROM own
ORDER BY 1, 3, 4
