-- What was erased was erased because people approved that, and under no legal hold
-- population: erasures of the period
-- exception: no reason; no approved request of an erasure stands behind it, or nobody but who asked approved it; the
--   person was still on the roster; or a legal hold covered it
-- rests on: erasure request ended approval person session action hold
WITH done AS (
    SELECT e.*, a.session AS action_session
    FROM erasure e
    CROSS JOIN period p
    LEFT JOIN action a ON a.action = e.subject AND e.scope = 'action'
    WHERE e.ts_ms >= p.since_ms AND e.ts_ms < p.until_ms
),
about AS (
    SELECT d.entry, s.session, s.person, s.agent
    FROM done d
    JOIN session s ON s.entry < d.entry
        AND s.session = CASE WHEN d.scope = 'session' THEN d.subject WHEN d.scope = 'action' THEN d.action_session ELSE s.session END
        AND (d.scope <> 'person' OR s.person = d.subject)
    UNION ALL
    SELECT d.entry, '', d.subject, '' FROM done d WHERE d.scope = 'person'
),
held AS (
    SELECT b.entry, MIN(h.hold) AS hold
    FROM about b
    JOIN hold h ON h.event = 'placed' AND h.entry < b.entry AND (
        h.scope = 'everything' OR h.scope = 'person' AND h.subject = b.person OR h.scope = 'session' AND h.subject = b.session
        OR h.scope = 'agent' AND h.subject = b.agent)
    LEFT JOIN hold l ON l.hold = h.hold AND l.event = 'lifted' AND l.entry < b.entry
    WHERE l.hold IS NULL
    GROUP BY b.entry
),
consent AS (
    SELECT d.entry, MIN(r.entry) AS asked, MIN(e.entry) AS approved, COUNT(DISTINCT v.person) AS others
    FROM done d
    LEFT JOIN request r ON r.request = d.request AND r.subject = 'erasure' AND d.request <> ''
    LEFT JOIN ended e ON e.request = r.request AND e.state = 'approved' AND e.entry < d.entry
    LEFT JOIN approval v ON v.request = r.request AND v.choice = 'approve' AND v.entry < d.entry
        AND v.person <> d.by AND v.person <> r.initiator
    GROUP BY d.entry
),
roster AS (
    SELECT d.entry, MAX(r.entry) AS last_entry
    FROM done d JOIN person r ON r.person = d.subject AND r.entry < d.entry
    WHERE d.scope = 'person'
    GROUP BY d.entry
)
SELECT d.entry, d.ts_ms, d.erasure AS subject,
    CASE
        WHEN h.hold IS NOT NULL THEN 'the legal hold ' || h.hold || ' covered it'
        WHEN c.asked IS NULL OR c.approved IS NULL THEN 'no approved request stands behind it'
        WHEN c.others = 0 THEN 'nobody but ' || d.by || ', who asked, approved it'
        WHEN n.event <> 'removed' THEN d.subject || ' was still on the roster'
        WHEN d.reasoned = 0 THEN 'it has no reason'
        ELSE ''
    END AS exception
FROM done d
LEFT JOIN held h ON h.entry = d.entry
LEFT JOIN consent c ON c.entry = d.entry
LEFT JOIN roster o ON o.entry = d.entry
LEFT JOIN person n ON n.entry = o.last_entry AND n.person = d.subject
ORDER BY 1, 3, 4
