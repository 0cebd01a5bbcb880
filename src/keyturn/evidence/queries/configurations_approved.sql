-- Configurations of targets change only as people approved
-- population: looks at configurations in the period
-- exception: fields differ from what people approved; or something changed since the look before, and the change that
--   is named was not approved for that target, or before it opened, or none is named
-- rests on: configuration
SELECT c.entry, c.ts_ms, c.target AS subject,
    CASE
        WHEN c.drifted_n > 0 THEN CAST(c.drifted_n AS TEXT) || ' fields differ from what people approved'
        WHEN c.changed_n > 0 AND c.first = 0 AND c.grade NOT IN ('PROVEN', 'VERSION-BOUND')
            THEN 'it changed, and no approved change covers it'
        WHEN c.change <> '' AND a.entry IS NULL THEN 'it is explained by ' || c.change || ', which nobody approved for ' || c.target
        WHEN c.change <> '' AND a.opens_ms > c.ts_ms THEN 'it is explained by ' || c.change || ', whose window had not opened'
        ELSE ''
    END AS exception
FROM configuration c
CROSS JOIN period p
LEFT JOIN configuration a ON a.event = 'approved' AND a.request = c.change AND a.target = c.target AND a.entry < c.entry AND c.change <> ''
WHERE c.event = 'seen' AND c.ts_ms >= p.since_ms AND c.ts_ms < p.until_ms
ORDER BY 1, 3, 4
