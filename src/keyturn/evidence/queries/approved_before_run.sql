-- People approved what policy holds before it ran
-- population: permits used in the period for actions that policy holds, whether a request, a grant or a plan let them go;
-- those that somebody released alone are in breakglass_reviewed
-- exception: fewer people than policy asks for had approved exactly this before: distinct humans, none of whom asked for it, owns the
-- agent, wrote it or stands behind it; or nothing let it go, as in observe mode. Groups are Keyturn's word (request.ended: placed)
-- rests on: permit action request approval ended grant_event plan_event breakglass person person_key
WITH RECURSIVE
  -- Records that share an account, ever, or an operating-system account, at one time, are one human.
  uid_span AS (
    SELECT person, entry, LEAD(entry) OVER (PARTITION BY person ORDER BY entry) AS until
    FROM holds WHERE kind = 'uid' AND what = ''
  ),
  uid_held AS (
    SELECT h.person, h.what, s.entry AS since, COALESCE(s.until, 9007199254740991) AS until
    FROM holds h JOIN uid_span s ON s.person = h.person AND s.entry = h.entry
    WHERE h.kind = 'uid' AND h.what <> ''
  ),
  account_held AS (
    SELECT DISTINCT h.person, h.what
    FROM holds h LEFT JOIN holds m ON m.person = h.person AND m.what = h.what AND m.kind = 'mistake'
    WHERE h.kind = 'account' AND h.what <> '' AND m.entry IS NULL
  ),
  shared AS (
    SELECT a.person, b.person AS other
    FROM account_held a JOIN account_held b ON b.what = a.what AND b.person <> a.person
    UNION
    SELECT a.person, b.person
    FROM uid_held a JOIN uid_held b ON b.what = a.what AND b.person <> a.person AND b.since < a.until AND a.since < b.until
  ),
  same(person, other) AS (
    SELECT DISTINCT person, person FROM person
    UNION
    SELECT s.person, h.other FROM same s JOIN shared h ON h.person = s.other
  ),
  human AS (SELECT person, MIN(other) AS human FROM same GROUP BY person),
  mark AS (
    SELECT person, other AS mark FROM same
    UNION
    SELECT s.person, u.what FROM same s JOIN uid_held u ON u.person = s.other
  ),
  finish AS (SELECT request, MAX(state) AS state, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM ended GROUP BY request),
  -- Approvals that count: of the same bytes, in time, out of a place that was filled, by somebody who has no other part in it,
  -- is on the roster, and whose key was not revoked before the request ended; a person and whom they stand in for are one voice.
  barred AS (
    SELECT DISTINCT v.entry
    FROM voice v JOIN request r ON r.request = v.request JOIN mark m ON m.person = v.voice
    WHERE instr(' ' || r.initiator || ' ' || r.owner || ' ' || r.authors || ' ' || r.parties || ' ' || r.uids || ' ', ' ' || m.mark || ' ') > 0
  ),
  revoked AS (SELECT "key", MIN(entry) AS entry FROM person_key WHERE event = 'revoked' GROUP BY "key"),
  outside AS (
    SELECT person, entry, event, COALESCE(LEAD(entry) OVER (PARTITION BY person ORDER BY entry), 9007199254740991) AS until
    FROM person WHERE event IN ('enrolled', 'removed', 'restored')
  ),
  filled AS (SELECT DISTINCT request, person FROM placed),
  valid AS (
    SELECT a.entry, a.request, a.ts_ms
    FROM approval a
      JOIN request r ON r.request = a.request
      JOIN finish e ON e.request = a.request AND e.state = 'approved' AND a.entry < e.entry
      JOIN filled f ON f.request = a.request AND f.person = a.person
      LEFT JOIN revoked k ON k."key" = a."key" AND a."key" <> '' AND k.entry < e.entry
      LEFT JOIN outside o ON o.person = a.person AND o.event = 'removed' AND o.entry < e.entry AND o.until > e.entry
    WHERE a.choice = 'approve' AND a.digest = r.digest AND k.entry IS NULL AND o.entry IS NULL
      AND a.entry NOT IN (SELECT entry FROM barred)
  ),
  word AS (
    SELECT v.request, v.entry, MIN(v.entry) OVER (PARTITION BY v.request, h.human) AS first
    FROM valid k CROSS JOIN voice v CROSS JOIN human h
    WHERE v.entry = k.entry AND h.person = v.voice
  ),
  counted AS (SELECT request, entry FROM word GROUP BY request, entry HAVING MIN(first) = entry),
  given AS (SELECT request, COUNT(*) AS n FROM counted GROUP BY request),
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
  began AS (
    SELECT action, MIN(entry) AS entry FROM permit
    WHERE event = 'consumed' AND action IN (SELECT part_of FROM used WHERE part_of <> '') GROUP BY action
  ),
  basis AS (
    SELECT u.entry, u.ts_ms, u.action, u.digest, u.part_of, u.mode, u.decided,
      COALESCE(i.request, g.request, s.request, '') AS request,
      CASE WHEN i.request IS NOT NULL THEN i.digest WHEN g.request IS NOT NULL THEN g.digest ELSE s.digest END AS let_go
    FROM used u LEFT JOIN issued i ON i.permit = u.permit LEFT JOIN under_grant g ON g.action = u.action
      LEFT JOIN under_plan s ON s.action = u.action
  )
SELECT b.entry, b.ts_ms, b.action AS subject,
  CASE
    WHEN b.request <> '' AND r.request IS NULL THEN 'its request ' || b.request || ' is not in the log'
    WHEN b.request <> '' AND (e.request IS NULL OR e.state <> 'approved' OR e.entry > b.entry)
      THEN 'its request ' || b.request || ' was not approved before it ran'
    WHEN b.request <> '' AND (b.let_go IS NULL OR b.let_go <> b.digest) THEN 'people approved other bytes'
    WHEN b.request <> '' AND COALESCE(n.n, 0) < r.needed_n + r.extra_n
      THEN CAST(COALESCE(n.n, 0) AS TEXT) || ' of ' || CAST(r.needed_n + r.extra_n AS TEXT) || ' people approved it'
    WHEN b.request <> '' THEN ''
    WHEN b.part_of <> '' AND (p.entry IS NULL OR p.entry > b.decided) THEN 'it is part of ' || b.part_of || ', which did not run before'
    WHEN b.part_of <> '' THEN ''
    WHEN b.mode = 'observe' THEN 'it ran in observe mode, though policy would hold it'
    ELSE 'nobody approved it, though policy holds it'
  END AS exception
FROM basis b
  LEFT JOIN request r ON r.request = b.request
  LEFT JOIN finish e ON e.request = b.request
  LEFT JOIN given n ON n.request = b.request
  LEFT JOIN began p ON p.action = b.part_of
ORDER BY 1, 3, 4
