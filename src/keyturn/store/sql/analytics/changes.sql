-- Changes of what counts: each that nobody else approved, that took effect outside the window it was approved for, or before its approval.
-- since: the period that is looked at
select entry, ts_s, type, object, person, asked_by, request, approvers,
  case
    when request = '' and alone = 1 then 'nobody else was there to approve it'
    when request = '' or approvers_n = 0 then 'no approval'
    when approvers = asked_by then 'approved by who asked'
    when approved_s is not null and ts_s < approved_s then 'before its approval'
    when from_s is not null and ts_s < from_s then 'before its window'
    else 'after its window'
  end as why
from change
where ts_s >= :since and ts_s < :until and genesis = 0
  and (request = '' or approvers_n = 0 or approvers = asked_by
    or (approved_s is not null and ts_s < approved_s)
    or (from_s is not null and ts_s < from_s)
    or (until_s is not null and ts_s >= until_s))
order by entry
