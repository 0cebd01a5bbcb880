-- How far each agent's mix of actions is from what it was before: the Jensen-Shannon distance, 0 for the same, 1 for nothing in common.
-- since: the period that is compared with everything before it
with counted as (
  select agent, category,
    sum(case when ts_s >= :since then 1 else 0 end) as now_n,
    sum(case when ts_s < :since then 1 else 0 end) as before_n
  from action
  where ts_s < :until
  group by agent, category
), totals as (
  select agent, sum(now_n) as now_total, sum(before_n) as before_total
  from counted
  group by agent
), shares as (
  select c.agent, t.now_total, t.before_total,
    cast(c.now_n as double) / cast(t.now_total as double) as p,
    cast(c.before_n as double) / cast(t.before_total as double) as q
  from counted c
  join totals t on t.agent = c.agent
  where t.now_total > 0 and t.before_total > 0
), parts as (
  select agent, now_total, before_total,
    case when p > 0.0 then p * ln(2.0 * p / (p + q)) else 0.0 end
      + case when q > 0.0 then q * ln(2.0 * q / (p + q)) else 0.0 end as part
  from shares
)
select agent,
  cast(max(now_total) as bigint) as actions,
  cast(max(before_total) as bigint) as before,
  sqrt(case when sum(part) > 0.0 then sum(part) / 1.3862943611198906 else 0.0 end) as distance
from parts
group by agent
order by agent
