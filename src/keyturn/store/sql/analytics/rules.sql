-- Rules in use: how often each decided, what people made of its holds and how fast, and whether it was used after its end.
-- since: the period in which uses count; rules that were never used in it are listed with 0
with counted as (
  select rule, verdict, ts_s, 1 as used_1, expired as expired_1, exception as exception_1, waited_s,
    case when state = 'approved' then 1 else 0 end as approved_1,
    case when state = 'denied' then 1 else 0 end as denied_1,
    case when state <> '' then 1 else 0 end as asked_1
  from rule_use
  where ts_s >= :since and ts_s < :until
  union all
  select rule, verdict, 0 as ts_s, 0 as used_1, 0 as expired_1, 0 as exception_1, null as waited_s,
    0 as approved_1, 0 as denied_1, 0 as asked_1
  from rule
  where ts_s < :until and (replaced_s is null or replaced_s >= :since)
)
select rule, verdict,
  cast(sum(used_1) as bigint) as uses,
  cast(sum(asked_1) as bigint) as asked,
  cast(sum(approved_1) as bigint) as approved,
  cast(sum(denied_1) as bigint) as denied,
  avg(case when approved_1 = 1 then waited_s end) as approval_s,
  cast(sum(case when approved_1 = 1 and waited_s < 5.0 then 1 else 0 end) as bigint) as within_5s,
  cast(sum(expired_1) as bigint) as expired,
  max(exception_1) as exception,
  max(ts_s) as last_s
from counted
group by rule, verdict
order by rule, verdict
