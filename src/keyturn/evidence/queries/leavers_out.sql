-- Who was removed decides nothing, and their keys are revoked
-- population: in the period, people who were removed; decisions, sign-ins and new keys of people; uses of what people granted
-- exception: somebody decided, signed in, enrolled a key or was stood in for after they were removed; something ran under what they
-- had granted; or a key of theirs was not revoked in time
-- rests on: person approval login person_key grant_event
-- settings: leaver_keys_h=24 (hours within which the keys of somebody who was removed are revoked)
WITH
  now AS (SELECT MAX(ts_ms) AS ms FROM event),
  due AS (SELECT CAST(value * 3600000 AS BIGINT) AS ms FROM setting WHERE name = 'leaver_keys_h'),
  state AS (
    SELECT person, entry, ts_ms, event, COALESCE(LEAD(entry) OVER (PARTITION BY person ORDER BY entry), 9007199254740991) AS until
    FROM person WHERE event IN ('enrolled', 'removed', 'restored')
  ),
  away AS (SELECT person, entry, ts_ms, until FROM state WHERE event = 'removed'),
  gone AS (SELECT "key", MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM person_key WHERE event = 'revoked' GROUP BY "key"),
  left_open AS (
    SELECT w.person, w.entry, COUNT(*) AS n
    FROM away w CROSS JOIN now n CROSS JOIN due d
      JOIN person_key k ON k.person = w.person AND k.event = 'enrolled' AND k.entry < w.entry
      LEFT JOIN gone g ON g."key" = k."key"
    WHERE COALESCE(g.ts_ms, n.ms) > w.ts_ms + d.ms AND w.until = 9007199254740991
    GROUP BY w.person, w.entry
  ),
  did AS (
    SELECT a.entry, a.ts_ms, a.request AS subject, a.person, a.person || ' decided' AS words FROM approval a WHERE a.choice <> 'approve'
    UNION ALL
    SELECT v.entry, v.ts_ms, v.request, v.voice, CASE WHEN v.voice = v.person THEN v.person || ' decided' ELSE v.person || ' decided for ' || v.voice END
    FROM voice v
    UNION ALL
    SELECT l.entry, l.ts_ms, l.person, l.person, l.person || ' signed in' FROM login l WHERE l.event = 'opened'
    UNION ALL
    SELECT k.entry, k.ts_ms, k."key", k.person, 'a key of ' || k.person || ' was enrolled' FROM person_key k WHERE k.event = 'enrolled'
    UNION ALL
    SELECT u.entry, u.ts_ms, u.action, v.voice, 'it ran under a grant of ' || v.voice
    FROM grant_event u JOIN grant_event o ON o.grant_id = u.grant_id AND o.event = 'opened' JOIN voice v ON v.request = o.request
    WHERE u.event = 'used'
  ),
  deed AS (
    SELECT d.entry, MIN(d.ts_ms) AS ts_ms, MIN(d.subject) AS subject, MIN(CASE WHEN w.person IS NULL THEN NULL ELSE d.words END) AS words
    FROM did d LEFT JOIN away w ON w.person = d.person AND w.entry < d.entry AND w.until > d.entry
    WHERE d.ts_ms >= (SELECT since_ms FROM period) AND d.ts_ms < (SELECT until_ms FROM period)
    GROUP BY d.entry
  )
SELECT w.entry, w.ts_ms, w.person AS subject,
  CASE
    WHEN o.n > 0 THEN CAST(o.n AS TEXT) || ' keys of ' || w.person || ' were not revoked in time'
    ELSE ''
  END AS exception
FROM away w LEFT JOIN left_open o ON o.entry = w.entry AND o.person = w.person
WHERE w.ts_ms >= (SELECT since_ms FROM period) AND w.ts_ms < (SELECT until_ms FROM period)
UNION ALL
SELECT d.entry, d.ts_ms, d.subject, CASE WHEN d.words IS NULL THEN '' ELSE d.words || ' after being removed' END
FROM deed d
ORDER BY 1, 3, 4
