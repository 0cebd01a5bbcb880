-- Whoever stands in for somebody does so for a time, for somebody who is there, and as was handed over
-- population: delegations opened, and decisions made in somebody's place, in the period
-- exception: it has no end, or lasts for longer than is allowed; it goes from or to nobody on the roster, to oneself,
--   or carries no group; a decision was made in the place of somebody who had not handed it over, or no more
-- rests on: delegation approval person
-- settings: delegation_d=90 (days that a delegation may last)
WITH opened AS (
    SELECT d.entry, d.ts_ms, d.delegation, d.person, d.deputy, d.groups, d.since_ms AS begins_ms, d.until_ms AS ends_ms
    FROM delegation d, period p
    WHERE d.event = 'opened' AND d.ts_ms >= p.since_ms AND d.ts_ms < p.until_ms
),
roster AS (
    SELECT o.entry, o.person AS who, MAX(r.entry) AS last_entry
    FROM opened o JOIN person r ON r.person = o.person AND r.entry < o.entry GROUP BY o.entry, o.person
    UNION
    SELECT o.entry, o.deputy, MAX(r.entry)
    FROM opened o JOIN person r ON r.person = o.deputy AND r.entry < o.entry GROUP BY o.entry, o.deputy
),
there AS (
    SELECT s.entry, s.who FROM roster s JOIN person r ON r.entry = s.last_entry AND r.person = s.who WHERE r.event <> 'removed'
),
instead AS (
    SELECT v.entry, v.ts_ms, v.request, v.person, v.on_behalf
    FROM approval v, period p
    WHERE v.on_behalf <> '' AND v.ts_ms >= p.since_ms AND v.ts_ms < p.until_ms
),
carried AS (
    SELECT DISTINCT i.entry, i.person
    FROM instead i
    JOIN delegation d ON d.event = 'opened' AND d.deputy = i.person AND d.entry < i.entry AND d.since_ms <= i.ts_ms AND d.until_ms > i.ts_ms
        AND instr(' ' || i.on_behalf || ' ', ' ' || d.person || ' ') > 0
    LEFT JOIN delegation e ON e.event = 'ended' AND e.delegation = d.delegation AND e.entry < i.entry
    WHERE e.entry IS NULL
)
SELECT o.entry, o.ts_ms, o.delegation AS subject,
    CASE
        WHEN o.person = o.deputy THEN o.person || ' handed over to themselves'
        WHEN t.who IS NULL THEN o.person || ', who handed over, was on no roster'
        WHEN u.who IS NULL THEN o.deputy || ', who stands in, was on no roster'
        WHEN o.groups = '' THEN 'it is about no group'
        WHEN COALESCE(o.ends_ms, 0) = 0 THEN 'it has no end'
        WHEN o.ends_ms - o.begins_ms > (SELECT value FROM setting WHERE name = 'delegation_d') * 86400000
            THEN 'it lasts ' || CAST(CAST((o.ends_ms - o.begins_ms - (o.ends_ms - o.begins_ms) % 86400000) / 86400000 AS BIGINT) AS TEXT)
                || ' days'
        ELSE ''
    END AS exception
FROM opened o
LEFT JOIN there t ON t.entry = o.entry AND t.who = o.person
LEFT JOIN there u ON u.entry = o.entry AND u.who = o.deputy
UNION ALL
SELECT i.entry, i.ts_ms, i.request,
    CASE WHEN c.entry IS NULL THEN i.person || ' decided in the place of ' || i.on_behalf || ', and nobody had handed that over' ELSE '' END
FROM instead i LEFT JOIN carried c ON c.entry = i.entry AND c.person = i.person
ORDER BY 1, 3, 4
