-- People hear of what waits for them
-- population: requests, and uses of break-glass, about which a channel told, or tried to tell, anybody in the period:
--   each with each receiver; and requests that expired in it, where channels told of others
-- exception: the channel gave up, or tried for longer than is allowed, and the person was told by no other one (of a
--   shared place: nobody was); or a request expired of which nothing was ever told
-- rests on: notice request ended
-- settings: notice_h=1 (hours in which a message has to arrive)
WITH tried AS (
    SELECT n.about, n.person, MIN(n.entry) AS entry, MIN(n.ts_ms) AS ts_ms,
        MAX(CASE WHEN n.event = 'sent' THEN 1 ELSE 0 END) AS sent,
        MAX(CASE WHEN n.event = 'failed' AND n.final = 1 THEN 1 ELSE 0 END) AS given_up,
        MIN(CASE WHEN n.event = 'failed' THEN n.ts_ms END) AS failed_ms,
        MAX(CASE WHEN n.ts_ms >= p.since_ms THEN n.entry END) AS last_entry
    FROM notice n, period p
    WHERE n.ts_ms < p.until_ms
    GROUP BY n.about, n.person
),
anybody AS (
    SELECT about, MAX(sent) AS sent FROM tried GROUP BY about
)
SELECT t.entry, CASE WHEN t.ts_ms < p.since_ms THEN p.since_ms ELSE t.ts_ms END AS ts_ms, t.about AS subject,
    CASE
        WHEN t.sent = 1 OR t.person = '' AND a.sent = 1 THEN ''
        WHEN t.given_up = 1 THEN CASE WHEN t.person = '' THEN 'nobody was told' ELSE t.person || ' was not told' END || ': it was given up'
        WHEN p.until_ms - t.failed_ms > (SELECT value FROM setting WHERE name = 'notice_h') * 3600000
            THEN CASE WHEN t.person = '' THEN 'nobody was told' ELSE t.person || ' was not told' END || ': no try went through'
        ELSE ''
    END AS exception
FROM tried t
CROSS JOIN period p
JOIN anybody a ON a.about = t.about
WHERE t.last_entry IS NOT NULL
UNION ALL
SELECT r.entry, CASE WHEN r.ts_ms < p.since_ms THEN p.since_ms ELSE r.ts_ms END, r.request,
    CASE WHEN a.about IS NULL THEN 'it expired, and nobody was told of it' ELSE '' END
FROM ended e
CROSS JOIN period p
JOIN request r ON r.request = e.request
LEFT JOIN anybody a ON a.about = e.request
WHERE e.state = 'expired' AND e.ts_ms >= p.since_ms AND e.ts_ms < p.until_ms
    AND (SELECT MAX(n.ts_ms) FROM notice n, period q WHERE n.ts_ms < q.until_ms) >= p.since_ms
ORDER BY 1, 3, 4
