-- Grave findings are settled with a reason, by somebody who has no part in them
-- population: steps of the period that settle findings of severity high or critical: explained, accepted, closed
-- exception: no reason; by whoever has a part in it, or asked for the change that explains it; explained by a change
--   that nobody approved; closed by no person without such a change; accepted without an end or for longer than is
--   allowed
-- rests on: finding finding_move session request ended
-- settings: accepted_d=366 (days for which a finding may be accepted)
SELECT m.entry, m.ts_ms, m.finding AS subject,
    CASE
        WHEN m.by <> '' AND m.apart = 0 THEN m.event || ' by ' || m.by || ', who has a part in it'
        WHEN m.by <> '' AND (m.by = f.person OR m.by = s.person OR m.by = s.owner)
            THEN m.event || ' by ' || m.by || ', for whom the agent acted'
        WHEN m.by <> '' AND m.by = r.initiator THEN m.event || ' by ' || m.by || ', who asked for the change that explains it'
        WHEN m.change <> '' AND e.state IS NULL THEN m.event || ' with ' || m.change || ', which nobody approved'
        WHEN (m.by = '' OR m.outcome = 'explained') AND m.change = '' THEN m.event || ', and no approved change is named'
        WHEN m.reasoned = 0 THEN m.event || ' without a reason'
        WHEN m.event = 'accepted' AND COALESCE(m.until_ms, 0) = 0 THEN 'accepted without an end'
        WHEN m.event = 'accepted' AND m.until_ms - m.ts_ms > (SELECT value FROM setting WHERE name = 'accepted_d') * 86400000
            THEN 'accepted for '
                || CAST(CAST((m.until_ms - m.ts_ms - (m.until_ms - m.ts_ms) % 86400000) / 86400000 AS BIGINT) AS TEXT) || ' days'
        ELSE ''
    END AS exception
FROM finding_move m
CROSS JOIN period p
JOIN finding f ON f.finding = m.finding AND f.severity IN ('high', 'critical')
LEFT JOIN session s ON s.session = f.session AND f.session <> ''
LEFT JOIN request r ON r.request = m.change AND m.change <> ''
LEFT JOIN ended e ON e.request = m.change AND e.state = 'approved' AND e.entry < m.entry AND m.change <> ''
WHERE m.event IN ('explained', 'accepted', 'closed') AND m.ts_ms >= p.since_ms AND m.ts_ms < p.until_ms
ORDER BY 1, 3, 4
