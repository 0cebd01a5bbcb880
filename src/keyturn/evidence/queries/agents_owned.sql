-- Every agent has somebody who answers for it
-- population: sessions that agents opened in the period
-- exception: the agent has no name; neither an owner nor a person is known; or whoever is named is on no roster, or
--   was removed before
-- rests on: session person
WITH named AS (
    SELECT s.entry, s.ts_ms, s.session, s.agent, CASE WHEN s.owner <> '' THEN s.owner ELSE s.person END AS who
    FROM session s, period p
    WHERE s.ts_ms >= p.since_ms AND s.ts_ms < p.until_ms
),
last AS (
    SELECT n.entry, MAX(r.entry) AS roster_entry
    FROM named n JOIN person r ON r.person = n.who AND r.entry < n.entry
    GROUP BY n.entry
)
SELECT n.entry, n.ts_ms, n.session AS subject,
    CASE
        WHEN n.agent = '' THEN 'the agent has no name'
        WHEN n.who = '' THEN 'nobody answers for ' || n.agent
        WHEN r.entry IS NULL THEN n.who || ', who answers for ' || n.agent || ', is on no roster'
        WHEN r.event = 'removed' THEN n.who || ', who answers for ' || n.agent || ', was removed before'
        ELSE ''
    END AS exception
FROM named n
LEFT JOIN last l ON l.entry = n.entry
LEFT JOIN person r ON r.entry = l.roster_entry AND r.person = n.who
ORDER BY 1, 3, 4
