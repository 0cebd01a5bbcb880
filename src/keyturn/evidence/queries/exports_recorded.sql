-- Every pack that leaves is recorded before, with who made it for whom and how much it shows
-- population: packs made, and packs read, in the period
-- exception: it names no maker, no auditor or an unknown disclosure; it covers no time, or other entries than there
--   were; or a pack was read of which no making is recorded before
-- rests on: exported viewed
WITH reads AS (
    SELECT v.entry, v.ts_ms, v.by, v.of
    FROM viewed v, period p
    WHERE v.what = 'pack' AND instr('/' || v.of, '/e_') > 0 AND v.ts_ms >= p.since_ms AND v.ts_ms < p.until_ms
),
made AS (
    SELECT DISTINCT v.entry
    FROM reads v JOIN exported x ON x.entry < v.entry AND instr('/' || v.of || '/', '/' || x.pack || '/') > 0
    WHERE x.pack <> ''
)
SELECT x.entry, x.ts_ms, x.pack AS subject,
    CASE
        WHEN x.by = '' THEN 'nobody is named who made it'
        WHEN x.auditor = '' THEN 'nobody is named whom it is for'
        WHEN x.disclosure NOT IN ('digests', 'content') THEN 'it does not say how much it shows'
        WHEN x.since_ms IS NULL OR x.until_ms IS NULL OR x.since_ms >= x.until_ms THEN 'it covers no time'
        WHEN x.size IS NULL OR x.size < 1 OR x.size > x.entry + 1 THEN 'it covers other entries than there were'
        ELSE ''
    END AS exception
FROM exported x, period p
WHERE x.ts_ms >= p.since_ms AND x.ts_ms < p.until_ms
UNION ALL
SELECT v.entry, v.ts_ms, v.of,
    CASE WHEN v.entry IN (SELECT m.entry FROM made m) THEN '' ELSE v.by || ' read it, and its making is not recorded' END
FROM reads v
ORDER BY 1, 3, 4
