-- No entry is missing
-- population: blocks of 256 entries whose last one, and sessions whose last entry, lies in the period
-- exception: an index of the log, or a number of the session, is missing or is there twice, or a session goes on after its end
-- rests on: event closed
WITH
  edge AS (SELECT MAX(entry) AS newest FROM event),
  block AS (
    SELECT entry - entry % 256 AS first, COUNT(*) AS n, MAX(entry) AS last, MAX(ts_ms) AS ts_ms FROM event GROUP BY entry - entry % 256
  ),
  beside AS (SELECT first, n, last, ts_ms, COALESCE(LAG(first) OVER (ORDER BY first), -256) AS before FROM block),
  numbered AS (
    SELECT session, COUNT(*) AS n, MAX(n) AS top, MIN(n) AS low, SUM(n) AS total, SUM(n * n) AS squares, MAX(entry) AS last, MAX(ts_ms) AS ts_ms
    FROM event WHERE session <> '' GROUP BY session
  ),
  shut AS (SELECT session, MIN(entry) AS entry FROM closed WHERE event = 'closed' GROUP BY session)
SELECT b.last AS entry, b.ts_ms, 'entries ' || CAST(b.first AS TEXT) || ' to ' || CAST(b.last AS TEXT) AS subject,
  CASE
    WHEN b.first - b.before > 256 THEN CAST(b.first - b.before - 256 AS TEXT) || ' entries before them are missing'
    WHEN b.last < e.newest AND b.n < 256 THEN CAST(256 - b.n AS TEXT) || ' entries of 256 are missing'
    WHEN b.last = e.newest AND b.n < b.last - b.first + 1 THEN CAST(b.last - b.first + 1 - b.n AS TEXT) || ' entries are missing'
    WHEN b.last = e.newest AND p.size > b.last + 1 THEN CAST(p.size - b.last - 1 AS TEXT) || ' entries after them are missing'
    WHEN b.n > 256 THEN 'indexes are there twice'
    ELSE ''
  END AS exception
FROM beside b CROSS JOIN edge e CROSS JOIN period p
WHERE b.ts_ms >= p.since_ms AND b.ts_ms < p.until_ms
UNION ALL
SELECT s.last, s.ts_ms, s.session,
  CASE
    WHEN s.top > s.n OR s.low <> 1 THEN CAST(s.top - s.n AS TEXT) || ' of its ' || CAST(s.top AS TEXT) || ' entries are missing'
    WHEN s.n > s.top OR 2 * s.total <> s.n * (s.n + 1) OR 6 * s.squares <> s.n * (s.n + 1) * (2 * s.n + 1)
      THEN 'its numbers are not 1 to ' || CAST(s.n AS TEXT)
    WHEN c.entry < s.last THEN 'it goes on after its end'
    ELSE ''
  END
FROM numbered s CROSS JOIN period p LEFT JOIN shut c ON c.session = s.session
WHERE s.ts_ms >= p.since_ms AND s.ts_ms < p.until_ms
ORDER BY 1, 3, 4
