-- What people approved ran while the approval was good
-- population: permits used in the period for actions that a request, a grant or a plan let go
-- exception: approved after the request had expired, or run after the permit, the grant or the plan had ended or was revoked, or more
-- often than the grant allows
-- rests on: permit action request ended grant_event plan_event breakglass
-- settings: commit_s=10 (seconds that may lie between looking at the clock and the entry)
WITH
  finish AS (SELECT request, MAX(state) AS state, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM ended GROUP BY request),
  used AS (
    SELECT p.entry, p.ts_ms, p.permit, p.action, a.digest, a.part_of, a.mode, a.expires_ms, a.entry AS decided
    FROM permit p JOIN action a ON a.action = p.action
    WHERE p.event = 'consumed' AND (a.verdict = 'hold' OR a.would = 'hold')
      AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
      AND p.action NOT IN (SELECT action FROM breakglass WHERE event = 'used')
  ),
  issued AS (
    SELECT permit, MIN(request) AS request, MIN(digest) AS digest, MIN(expires_ms) AS expires_ms
    FROM permit WHERE event = 'issued' GROUP BY permit
  ),
  under_grant AS (
    SELECT u.action, MIN(u.entry) AS entry, MIN(u.ts_ms) AS ts_ms, MIN(o.grant_id) AS grant_id, MIN(o.request) AS request, MIN(o.digest) AS digest
    FROM grant_event u JOIN grant_event o ON o.grant_id = u.grant_id AND o.event = 'opened'
    WHERE u.event = 'used' GROUP BY u.action
  ),
  under_plan AS (
    SELECT u.action, MIN(u.entry) AS entry, MIN(u.ts_ms) AS ts_ms, MIN(o.plan_id) AS plan_id, MIN(o.request) AS request, MIN(s.digest) AS digest
    FROM plan_event u JOIN plan_event o ON o.plan_id = u.plan_id AND o.event = 'opened'
      LEFT JOIN plan_step s ON s.plan_id = u.plan_id AND s.step = u.step
    WHERE u.event = 'advanced' GROUP BY u.action
  ),
  slack AS (SELECT CAST(value * 1000 AS BIGINT) AS ms FROM setting WHERE name = 'commit_s'),
  opened AS (
    SELECT grant_id, MIN(entry) AS entry, MIN(ends_ms) AS ends_ms, MIN(uses) AS uses FROM grant_event WHERE event = 'opened' GROUP BY grant_id
  ),
  taken AS (
    SELECT grant_id, action, ts_ms, ROW_NUMBER() OVER (PARTITION BY grant_id ORDER BY entry) AS nth FROM grant_event WHERE event = 'used'
  ),
  recalled AS (SELECT grant_id, MIN(entry) AS entry, MIN("by") AS who FROM grant_event WHERE event = 'revoked' GROUP BY grant_id),
  planned AS (SELECT plan_id, MIN(ends_ms) AS ends_ms FROM plan_event WHERE event = 'opened' GROUP BY plan_id),
  stopped AS (SELECT plan_id, MIN(entry) AS entry, MIN("by") AS who FROM plan_event WHERE event = 'stopped' GROUP BY plan_id),
  basis AS (
    SELECT u.entry, u.ts_ms, u.action, COALESCE(i.request, g.request, s.request, '') AS request,
      COALESCE(i.expires_ms, u.expires_ms) AS expires_ms, COALESCE(g.grant_id, '') AS grant_id, COALESCE(s.plan_id, '') AS plan_id
    FROM used u LEFT JOIN issued i ON i.permit = u.permit LEFT JOIN under_grant g ON g.action = u.action
      LEFT JOIN under_plan s ON s.action = u.action
    WHERE COALESCE(i.request, g.request, s.request, '') <> ''
  )
SELECT b.entry, b.ts_ms, b.action AS subject,
  CASE
    WHEN e.ts_ms > r.expires_ms + k.ms THEN 'it was approved after its request had expired'
    WHEN b.ts_ms > b.expires_ms + k.ms THEN 'it ran after its permit had expired'
    WHEN b.ts_ms > o.ends_ms + k.ms THEN 'it ran after its grant had ended'
    WHEN c.entry < b.entry THEN 'it ran after ' || c.who || ' had revoked its grant'
    WHEN o.uses > 0 AND t.nth > o.uses
      THEN 'it ran as the use ' || CAST(t.nth AS TEXT) || ' of a grant for ' || CAST(o.uses AS TEXT)
    WHEN b.ts_ms > p.ends_ms + k.ms THEN 'it ran after its plan had ended'
    WHEN x.entry < b.entry THEN 'it ran after its plan had been stopped'
    ELSE ''
  END AS exception
FROM basis b CROSS JOIN slack k
  LEFT JOIN request r ON r.request = b.request
  LEFT JOIN finish e ON e.request = b.request AND e.state = 'approved'
  LEFT JOIN opened o ON o.grant_id = b.grant_id
  LEFT JOIN taken t ON t.action = b.action AND t.grant_id = b.grant_id
  LEFT JOIN recalled c ON c.grant_id = b.grant_id
  LEFT JOIN planned p ON p.plan_id = b.plan_id
  LEFT JOIN stopped x ON x.plan_id = b.plan_id
ORDER BY 1, 3, 4
