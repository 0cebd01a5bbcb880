-- What people let run again is narrow: for a short time, so many times, and used
-- population: grants that held at some time in the period
-- exception: it was used after its end, or more often than people let; it holds for longer than is allowed; without a
--   limit of uses in any session for longer than is allowed; or it stands unused
-- rests on: grant_event
-- settings: grant_life_h=24 (hours that a grant may hold)
-- settings: grant_unlimited_h=1 (hours that a grant may hold without a limit of uses, in any session)
-- settings: grant_unused_h=12 (hours that a grant may stand without being used)
WITH life AS (
    SELECT g.entry, g.ts_ms, g.grant_id, g.session, g.ends_ms, COALESCE(g.uses, 0) AS uses, r.entry AS revoked_entry,
        CASE WHEN r.ts_ms < g.ends_ms THEN r.ts_ms ELSE g.ends_ms END AS over_ms, p.since_ms, p.until_ms
    FROM grant_event g
    CROSS JOIN period p
    LEFT JOIN (SELECT grant_id, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM grant_event WHERE event = 'revoked' GROUP BY grant_id) r
        ON r.grant_id = g.grant_id
    WHERE g.event = 'opened' AND g.ts_ms < p.until_ms
),
used AS (
    SELECT g.grant_id, COUNT(*) AS uses_n, MAX(g.ts_ms) AS last_ms, MAX(g.entry) AS last_entry
    FROM grant_event g, period p
    WHERE g.event = 'used' AND g.ts_ms < p.until_ms
    GROUP BY g.grant_id
),
standing AS (
    SELECT l.*, COALESCE(u.uses_n, 0) AS uses_n, u.last_ms, u.last_entry,
        CASE WHEN l.over_ms < l.until_ms THEN l.over_ms ELSE l.until_ms END
            - CASE WHEN u.last_ms > l.ts_ms THEN u.last_ms ELSE l.ts_ms END AS unused_ms
    FROM life l LEFT JOIN used u ON u.grant_id = l.grant_id
    WHERE l.over_ms > l.since_ms OR l.ts_ms >= l.since_ms OR u.last_ms >= l.since_ms
)
SELECT entry, CASE WHEN ts_ms < since_ms THEN since_ms ELSE ts_ms END AS ts_ms, grant_id AS subject,
    CASE
        WHEN last_entry > revoked_entry THEN 'it was used after it was revoked'
        WHEN last_ms >= ends_ms THEN 'it was used after its end'
        WHEN uses > 0 AND uses_n > uses THEN 'it was used ' || CAST(uses_n AS TEXT) || ' times of ' || CAST(uses AS TEXT)
        WHEN ends_ms - ts_ms > (SELECT value FROM setting WHERE name = 'grant_life_h') * 3600000
            THEN 'it holds for ' || CAST(CAST((ends_ms - ts_ms - (ends_ms - ts_ms) % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours'
        WHEN uses = 0 AND session = ''
            AND ends_ms - ts_ms > (SELECT value FROM setting WHERE name = 'grant_unlimited_h') * 3600000
            THEN 'it has no limit of uses, in any session'
        WHEN unused_ms > (SELECT value FROM setting WHERE name = 'grant_unused_h') * 3600000
            THEN 'it stood unused for ' || CAST(CAST((unused_ms - unused_ms % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours'
        ELSE ''
    END AS exception
FROM standing
ORDER BY 1, 3, 4
