-- Each decision was made by the policy in force
-- population: actions decided on in the period, and permits that left for approved requests
-- exception: it names no version, one that never took effect, or one that was not in force then; or a permit left though the policy had
-- changed since people were asked
-- rests on: action policy permit request
WITH
  span AS (
    SELECT policy, entry, COALESCE(LEAD(entry) OVER (ORDER BY entry), 9007199254740991) AS until FROM policy WHERE event = 'published'
  ),
  known AS (SELECT policy, MIN(entry) AS entry FROM span GROUP BY policy),
  often AS (SELECT policy FROM span GROUP BY policy HAVING COUNT(*) > 1),
  once AS (SELECT policy, entry, until FROM span WHERE policy NOT IN (SELECT policy FROM often)),
  member AS (
    SELECT entry, ts_ms, action, CASE WHEN published = '' THEN policy ELSE published END AS policy, 'it was decided on' AS how
    FROM action WHERE ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)
    UNION ALL
    SELECT p.entry, p.ts_ms, p.action, r.policy, 'it was let go'
    FROM permit p JOIN request r ON r.request = p.request
    WHERE p.event = 'issued' AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
  )
SELECT m.entry, m.ts_ms, m.action AS subject,
  CASE
    WHEN m.policy = '' AND m.entry IN (SELECT entry FROM blind) THEN ''
    WHEN m.policy = '' THEN 'it names no version of the policy'
    WHEN k.policy IS NULL OR k.entry > m.entry THEN m.how || ' under a version that had not taken effect'
    WHEN o.policy IS NOT NULL AND m.entry > o.entry AND m.entry < o.until THEN ''
    WHEN o.policy IS NULL AND EXISTS (SELECT 1 FROM span s WHERE s.policy = m.policy AND s.entry < m.entry AND m.entry < s.until) THEN ''
    ELSE m.how || ' under a version that was not in force any more'
  END AS exception
FROM member m LEFT JOIN known k ON k.policy = m.policy LEFT JOIN once o ON o.policy = m.policy
ORDER BY 1, 3, 4
