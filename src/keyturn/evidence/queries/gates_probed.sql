-- Gates in a client's hands are probed: the client stops when it is told to
-- population: cooperative gates that asked in the period
-- exception: the client did not stop at a probe in the period; it was never probed; or the last probe is longer ago
--   than is allowed
-- rests on: session action probe
-- settings: probe_d=30 (days between two probes of a gate)
WITH asking AS (
    SELECT s.gate, s.entry, s.ts_ms FROM session s, period p
    WHERE s.assurance = 'cooperative' AND s.ts_ms >= p.since_ms AND s.ts_ms < p.until_ms
    UNION ALL
    SELECT a.gate, MIN(a.entry), MIN(a.ts_ms) FROM action a, period p
    WHERE a.assurance = 'cooperative' AND a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
    GROUP BY a.gate
),
gates AS (
    SELECT gate, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM asking GROUP BY gate
),
probes AS (
    SELECT b.gate, MAX(b.ts_ms) AS last_ms, MIN(CASE WHEN b.ts_ms >= p.since_ms THEN b.stopped ELSE 1 END) AS stopped
    FROM probe b, period p
    WHERE b.ts_ms < p.until_ms
    GROUP BY b.gate
)
SELECT g.entry, g.ts_ms, g.gate AS subject,
    CASE
        WHEN b.gate IS NULL THEN 'it was never probed'
        WHEN b.stopped = 0 THEN 'its client did not stop when it was told to'
        WHEN p.until_ms - b.last_ms > (SELECT value FROM setting WHERE name = 'probe_d') * 86400000
            THEN 'it was probed ' || CAST(CAST((p.until_ms - b.last_ms - (p.until_ms - b.last_ms) % 86400000) / 86400000 AS BIGINT) AS TEXT)
                || ' days ago'
        ELSE ''
    END AS exception
FROM gates g
CROSS JOIN period p
LEFT JOIN probes b ON b.gate = g.gate
ORDER BY 1, 3, 4
