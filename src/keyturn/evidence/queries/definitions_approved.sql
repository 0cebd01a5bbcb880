-- Agents act as what people approved them to be
-- population: what an agent was in a session (its definition) while something of it ran in the period
-- exception: the gate did not tell what the agent is; nobody had approved that when its first action was decided; or
--   the approval had been withdrawn by its last one
-- rests on: action permit definition
WITH acts AS (
    SELECT a.session, a.agent, a.definition, MIN(a.entry) AS entry, MIN(a.ts_ms) AS ts_ms, MAX(a.entry) AS last_entry
    FROM action a, period p
    WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
        AND a.action IN (SELECT c.action FROM permit c WHERE c.event = 'consumed')
    GROUP BY a.session, a.agent, a.definition
),
judged AS (
    SELECT x.entry,
        MAX(CASE WHEN d.entry < x.entry AND d.event = 'approved' THEN d.entry END) AS approved,
        MAX(CASE WHEN d.entry < x.entry AND d.event = 'withdrawn' THEN d.entry END) AS withdrawn,
        MAX(CASE WHEN d.entry < x.last_entry AND d.event = 'approved' THEN d.entry END) AS approved_last,
        MAX(CASE WHEN d.entry < x.last_entry AND d.event = 'withdrawn' THEN d.entry END) AS withdrawn_last
    FROM acts x JOIN definition d ON d.agent = x.agent AND d.digest = x.definition AND d.event IN ('approved', 'withdrawn')
    GROUP BY x.entry
)
SELECT x.entry, x.ts_ms, x.session AS subject,
    CASE
        WHEN x.definition = '' THEN 'what ' || x.agent || ' is was not told'
        WHEN j.approved IS NULL THEN 'nobody had approved what ' || x.agent || ' is: ' || x.definition
        WHEN j.withdrawn > j.approved OR j.withdrawn_last > j.approved_last
            THEN 'the approval of what ' || x.agent || ' is had been withdrawn: ' || x.definition
        ELSE ''
    END AS exception
FROM acts x LEFT JOIN judged j ON j.entry = x.entry
ORDER BY 1, 3, 4
