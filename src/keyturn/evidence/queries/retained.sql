-- What has to be kept is there, and what has to be deleted is gone
-- population: the log itself; files of labelled data that had to be deleted, or were, in the period
-- exception: the log does not begin with its first entry; a file is still there, or was deleted late, after its time;
--   or was deleted under a legal hold
-- rests on: event artefact action hold
-- settings: deletion_h=24 (hours after its time until a file has to be gone)
WITH opened AS (
    SELECT MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM event
),
gone AS (
    SELECT d.artefact, MIN(d.ts_ms) AS ts_ms
    FROM artefact d, period p
    WHERE d.event = 'deleted' AND d.ts_ms < p.until_ms
    GROUP BY d.artefact
),
kept AS (
    SELECT w.entry, w.ts_ms, w.artefact, w.labels, w.due_ms, g.ts_ms AS gone_ms, a.session, a.agent, a.person, p.since_ms, p.until_ms
    FROM artefact w
    CROSS JOIN period p
    LEFT JOIN gone g ON g.artefact = w.artefact
    LEFT JOIN action a ON a.action = w.action
    WHERE w.event = 'written' AND w.ts_ms < p.until_ms
        AND (w.due_ms >= p.since_ms AND w.due_ms < p.until_ms OR g.ts_ms >= p.since_ms OR w.due_ms < p.since_ms AND g.ts_ms IS NULL)
),
holds AS (
    SELECT h.hold, h.scope, h.subject, h.ts_ms AS from_ms, l.ts_ms AS to_ms
    FROM hold h LEFT JOIN hold l ON l.hold = h.hold AND l.event = 'lifted'
    WHERE h.event = 'placed'
),
covering AS (
    SELECT k.artefact, k.due_ms, k.gone_ms, k.until_ms, h.hold, h.from_ms, COALESCE(h.to_ms, k.until_ms) AS to_ms
    FROM kept k
    JOIN holds h ON h.scope = 'everything' OR h.scope = 'session' AND h.subject = k.session OR h.scope = 'agent' AND h.subject = k.agent
        OR h.scope = 'person' AND h.subject = k.person
        OR h.scope = 'label' AND instr(' ' || k.labels || ' ', ' ' || h.subject || ' ') > 0
),
excused AS (
    SELECT artefact, MAX(to_ms) AS to_ms
    FROM covering
    WHERE from_ms <= due_ms + (SELECT value FROM setting WHERE name = 'deletion_h') * 3600000
    GROUP BY artefact
),
covered AS (
    SELECT c.artefact, MIN(CASE WHEN c.from_ms <= c.gone_ms AND c.to_ms > c.gone_ms THEN c.hold END) AS at_deletion,
        MAX(CASE WHEN c.from_ms <= x.to_ms THEN c.to_ms END) AS held_until_ms
    FROM covering c LEFT JOIN excused x ON x.artefact = c.artefact
    GROUP BY c.artefact
),
late AS (
    SELECT k.entry, k.ts_ms, k.artefact, k.gone_ms, k.since_ms, c.at_deletion,
        COALESCE(k.gone_ms, k.until_ms)
            - CASE WHEN c.held_until_ms > k.due_ms THEN c.held_until_ms ELSE k.due_ms END AS late_ms
    FROM kept k LEFT JOIN covered c ON c.artefact = k.artefact
)
SELECT entry, CASE WHEN ts_ms < since_ms THEN since_ms ELSE ts_ms END AS ts_ms, artefact AS subject,
    CASE
        WHEN at_deletion IS NOT NULL THEN 'it was deleted under the legal hold ' || at_deletion
        WHEN late_ms > (SELECT value FROM setting WHERE name = 'deletion_h') * 3600000 AND gone_ms IS NULL
            THEN 'it is still there ' || CAST(CAST((late_ms - late_ms % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours after its time'
        WHEN late_ms > (SELECT value FROM setting WHERE name = 'deletion_h') * 3600000
            THEN 'it was deleted ' || CAST(CAST((late_ms - late_ms % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours after its time'
        ELSE ''
    END AS exception
FROM late
UNION ALL
SELECT o.entry, CASE WHEN o.ts_ms < p.since_ms THEN p.since_ms ELSE o.ts_ms END, 'the log',
    CASE WHEN o.entry > 0 THEN 'entries before ' || CAST(o.entry AS TEXT) || ' are gone' ELSE '' END
FROM opened o, period p
WHERE o.ts_ms < p.until_ms
ORDER BY 1, 3, 4
