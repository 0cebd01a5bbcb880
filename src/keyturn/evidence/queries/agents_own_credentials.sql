-- Every agent and gate has a credential of its own, with an end
-- population: credentials of agents and gates that were good at some time in the period, and gates that have none of
--   their own since they were enrolled
-- exception: it was found to be shared; several agents used it; nobody owns the agent's; it has no end, or lasts for
--   longer than is allowed; the gate has a token of an earlier version, without an end
-- rests on: credential gate_event session finding finding_move
-- settings: credential_life_d=90 (days that a credential of an agent or a gate may last)
WITH over AS (
    SELECT credential, MIN(CASE WHEN event = 'revoked' THEN ts_ms ELSE expires_ms END) AS end_ms
    FROM credential
    WHERE event IN ('revoked', 'rotated')
    GROUP BY credential
),
users AS (
    SELECT s.credential, COUNT(DISTINCT s.agent) AS agents
    FROM session s, period p
    WHERE s.credential <> '' AND s.ts_ms < p.until_ms
    GROUP BY s.credential
),
shared AS (
    SELECT f.credential, MIN(f.finding) AS finding
    FROM finding f, period p
    WHERE f.kind = 'credential.shared' AND f.credential <> '' AND f.ts_ms < p.until_ms
        AND f.finding NOT IN (SELECT m.finding FROM finding_move m WHERE m.event = 'closed' AND m.outcome = 'false-alarm')
    GROUP BY f.credential
),
gates AS (
    SELECT g.gate, MAX(CASE WHEN g.event = 'enrolled' THEN g.entry END) AS entry,
        MAX(CASE WHEN g.event = 'removed' THEN g.entry END) AS removed_entry,
        MAX(CASE WHEN g.event = 'removed' THEN g.ts_ms END) AS removed_ms
    FROM gate_event g, period p
    WHERE g.ts_ms < p.until_ms AND g.gate <> ''
    GROUP BY g.gate
)
SELECT c.entry, CASE WHEN c.ts_ms < p.since_ms THEN p.since_ms ELSE c.ts_ms END AS ts_ms, c.credential AS subject,
    CASE
        WHEN h.finding IS NOT NULL THEN 'it is shared: ' || h.finding
        WHEN c.kind = 'agent' AND u.agents > 1 THEN CAST(u.agents AS TEXT) || ' agents used it'
        WHEN c.kind = 'agent' AND c.owner = '' THEN 'nobody answers for ' || c.name || ', whose it is'
        WHEN COALESCE(c.expires_ms, 0) = 0 THEN 'it has no end'
        WHEN c.expires_ms - c.ts_ms > (SELECT value FROM setting WHERE name = 'credential_life_d') * 86400000
            THEN 'it lasts ' || CAST(CAST((c.expires_ms - c.ts_ms - (c.expires_ms - c.ts_ms) % 86400000) / 86400000 AS BIGINT) AS TEXT)
                || ' days'
        ELSE ''
    END AS exception
FROM credential c
CROSS JOIN period p
LEFT JOIN over o ON o.credential = c.credential
LEFT JOIN users u ON u.credential = c.credential
LEFT JOIN shared h ON h.credential = c.credential
WHERE c.event = 'issued' AND c.kind IN ('agent', 'gate') AND c.ts_ms < p.until_ms
    AND (COALESCE(c.expires_ms, 0) = 0 OR c.expires_ms > p.since_ms)
    AND (o.end_ms IS NULL OR o.end_ms > p.since_ms)
UNION ALL
SELECT e.entry, CASE WHEN e.ts_ms < p.since_ms THEN p.since_ms ELSE e.ts_ms END, e.gate, 'its token of an earlier version has no end'
FROM gates g
CROSS JOIN period p
JOIN gate_event e ON e.entry = g.entry AND e.gate = g.gate
WHERE (g.removed_entry IS NULL OR g.removed_entry < g.entry OR g.removed_ms >= p.since_ms)
    AND NOT EXISTS (SELECT 1 FROM credential c WHERE c.event = 'issued' AND c.kind = 'gate' AND c.name = g.gate AND c.entry > g.entry)
ORDER BY 1, 3, 4
