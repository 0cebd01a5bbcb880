-- Every gate that asks is known, at the level that it claims
-- population: gates, with the level of assurance that they claim, that asked in the period
-- exception: it is unknown; it was removed before; it claims another level than the one that it is known at; it does
--   not say its version, where that is asked for
-- rests on: session action gate_event
-- settings: gate_version=0 (1: a gate has to say its version)
WITH asking AS (
    SELECT s.gate, s.assurance, s.entry, s.ts_ms FROM session s, period p WHERE s.ts_ms >= p.since_ms AND s.ts_ms < p.until_ms
    UNION ALL
    SELECT a.gate, a.assurance, MIN(a.entry), MIN(a.ts_ms) FROM action a, period p
    WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
    GROUP BY a.gate, a.assurance
    UNION ALL
    SELECT a.gate, a.assurance, MAX(a.entry), MAX(a.ts_ms) FROM action a, period p
    WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
    GROUP BY a.gate, a.assurance
),
known AS (
    SELECT k.entry, k.gate, k.assurance, MAX(g.entry) AS known_entry
    FROM asking k LEFT JOIN gate_event g ON g.gate = k.gate AND g.entry < k.entry
    GROUP BY k.entry, k.gate, k.assurance
),
judged AS (
    SELECT k.entry, k.gate, k.assurance,
        CASE
            WHEN g.entry IS NULL THEN 'nobody enrolled it, and it never said what it is'
            WHEN g.event = 'removed' THEN 'it was removed before'
            WHEN g.assurance <> k.assurance THEN 'it claims to be ' || k.assurance || ', and is known as ' || g.assurance
            WHEN g.version = '' AND (SELECT value FROM setting WHERE name = 'gate_version') > 0 THEN 'it does not say its version'
            ELSE ''
        END AS exception
    FROM known k LEFT JOIN gate_event g ON g.entry = k.known_entry AND g.gate = k.gate
),
worst AS (
    SELECT gate, assurance, COALESCE(MIN(CASE WHEN exception <> '' THEN entry END), MIN(entry)) AS entry
    FROM judged
    GROUP BY gate, assurance
)
SELECT DISTINCT w.entry, a.ts_ms, w.gate AS subject, j.exception
FROM worst w
JOIN judged j ON j.entry = w.entry AND j.gate = w.gate AND j.assurance = w.assurance
JOIN asking a ON a.entry = w.entry AND a.gate = w.gate AND a.assurance = w.assurance
ORDER BY 1, 3, 4
