-- Sessions end, and say how many entries they have
-- population: sessions opened in the period
-- exception: it is open and nothing was recorded in it for long, it ended twice, or says another count than it has
-- rests on: session closed event
-- settings: session_idle_h=24 (hours after which an open session in which nothing happens should have ended)
WITH
  now AS (SELECT MAX(ts_ms) AS ms FROM event),
  idle AS (SELECT CAST(value * 3600000 AS BIGINT) AS ms, value AS hours FROM setting WHERE name = 'session_idle_h'),
  shut AS (SELECT session, COUNT(*) AS times, MIN(entry) AS entry, MIN(count_n) AS count_n FROM closed WHERE event = 'closed' GROUP BY session),
  member AS (
    SELECT entry, ts_ms, session FROM session WHERE ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)
  ),
  seen AS (
    SELECT session, COUNT(*) AS n, MAX(ts_ms) AS ts_ms FROM event
    WHERE session <> '' AND session IN (SELECT session FROM member) GROUP BY session
  )
SELECT m.entry, m.ts_ms, m.session AS subject,
  CASE
    WHEN s.session IS NULL AND n.ms >= x.ts_ms + i.ms THEN 'it is open, and nothing happened in it for ' || CAST(CAST(i.hours AS BIGINT) AS TEXT) || ' hours'
    WHEN s.session IS NULL THEN ''
    WHEN s.times > 1 THEN 'it ended ' || CAST(s.times AS TEXT) || ' times'
    WHEN s.count_n IS NULL OR s.count_n <> x.n
      THEN 'it says that it has ' || COALESCE(CAST(s.count_n AS TEXT), '?') || ' entries, and has ' || CAST(x.n AS TEXT)
    ELSE ''
  END AS exception
FROM member m CROSS JOIN now n CROSS JOIN idle i
  LEFT JOIN shut s ON s.session = m.session
  LEFT JOIN seen x ON x.session = m.session
ORDER BY 1, 3, 4
