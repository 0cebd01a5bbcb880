-- The kill switch works: after a stop nothing runs
-- population: sessions that people stopped in the period, and responses that stop an agent, a definition or a session
--   and began in it
-- exception: afterwards an action of it, or of a session that it had started, was let go, its permit was used, or it
--   was seen to start; or one that ran already went on for longer than is allowed
-- rests on: closed response session action permit started receipt
-- settings: stop_s=60 (seconds until what ran at the moment of a stop has ended)
WITH RECURSIVE stops AS (
    SELECT c.entry, c.ts_ms, c.session FROM closed c, period p WHERE c.event = 'stopped' AND c.ts_ms >= p.since_ms AND c.ts_ms < p.until_ms
),
trees AS (
    SELECT s.entry, s.ts_ms, s.session FROM stops s
    UNION
    SELECT t.entry, t.ts_ms, s.session FROM trees t JOIN session s ON s.parent = t.session WHERE t.session <> '' AND s.session <> ''
),
acts AS (
    SELECT t.entry AS stop_entry, t.ts_ms AS stop_ms, a.action, a.entry, a.verdict FROM trees t JOIN action a ON a.session = t.session
),
blocks AS (
    SELECT r.entry, r.ts_ms, r.response, r.about_kind, r.about, MIN(l.entry) AS over_entry, MAX(r.ends_ms) AS ends_ms
    FROM response r
    CROSS JOIN period p
    LEFT JOIN response l ON l.response = r.response AND l.event = 'lifted'
    WHERE r.event = 'begun' AND r.does = 'stop' AND r.ts_ms >= p.since_ms AND r.ts_ms < p.until_ms
    GROUP BY r.entry, r.ts_ms, r.response, r.about_kind, r.about
),
let_go AS (
    SELECT a.entry, a.ts_ms, a.action, a.verdict, a.agent, a.definition, a.session, c.entry AS used_entry, c.ts_ms AS used_ms
    FROM action a LEFT JOIN permit c ON c.action = a.action AND c.event = 'consumed'
    WHERE a.verdict = 'run' AND a.entry > (SELECT MIN(b.entry) FROM blocks b) OR c.entry > (SELECT MIN(b.entry) FROM blocks b)
),
blocked AS (
    SELECT b.entry AS stop_entry, b.over_entry, b.ends_ms, a.* FROM blocks b JOIN let_go a ON b.about_kind = 'agent' AND a.agent = b.about
    UNION ALL
    SELECT b.entry, b.over_entry, b.ends_ms, a.* FROM blocks b JOIN let_go a ON b.about_kind = 'definition' AND a.definition = b.about
    UNION ALL
    SELECT b.entry, b.over_entry, b.ends_ms, a.* FROM blocks b JOIN let_go a ON b.about_kind = 'session' AND a.session = b.about
),
wrong AS (
    SELECT stop_entry, 1 AS what, action FROM acts WHERE entry > stop_entry AND verdict = 'run'
    UNION ALL
    SELECT x.stop_entry, 2, x.action FROM acts x JOIN permit c ON c.action = x.action AND c.event IN ('issued', 'consumed')
    WHERE c.entry > x.stop_entry
    UNION ALL
    SELECT x.stop_entry, 3, x.action FROM acts x JOIN started s ON s.action = x.action WHERE s.entry > x.stop_entry
    UNION ALL
    SELECT x.stop_entry, 4, x.action FROM acts x JOIN receipt r ON r.action = x.action
    WHERE r.outcome <> 'not-run' AND r.ts_ms - x.stop_ms > (SELECT value FROM setting WHERE name = 'stop_s') * 1000
    UNION ALL
    SELECT stop_entry, 1, action FROM blocked
    WHERE entry > stop_entry AND verdict = 'run' AND (over_entry IS NULL OR entry < over_entry) AND (ends_ms = 0 OR ts_ms < ends_ms)
    UNION ALL
    SELECT stop_entry, 2, action FROM blocked
    WHERE used_entry > stop_entry AND (over_entry IS NULL OR used_entry < over_entry) AND (ends_ms = 0 OR used_ms < ends_ms)
),
first AS (
    SELECT stop_entry, MIN(what) AS what FROM wrong GROUP BY stop_entry
),
named AS (
    SELECT w.stop_entry, w.what, MIN(w.action) AS action
    FROM wrong w JOIN first f ON f.stop_entry = w.stop_entry AND f.what = w.what
    GROUP BY w.stop_entry, w.what
),
member AS (
    SELECT entry, ts_ms, session AS subject FROM stops
    UNION ALL
    SELECT entry, ts_ms, response FROM blocks
)
SELECT m.entry, m.ts_ms, m.subject,
    CASE n.what
        WHEN 1 THEN n.action || ' was let run after the stop'
        WHEN 2 THEN 'the permit of ' || n.action || ' was issued or used after the stop'
        WHEN 3 THEN n.action || ' started after the stop'
        WHEN 4 THEN n.action || ' still ran long after the stop'
        ELSE ''
    END AS exception
FROM member m LEFT JOIN named n ON n.stop_entry = m.entry
ORDER BY 1, 3, 4
