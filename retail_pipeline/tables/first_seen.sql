-- How many customers came on each day of recent_days, and how many of them never had before.
-- feature_changes: all customers that are known by then.
with firsts as (
    select customer_id, min(cast(first_visit_at as date)) as first_day
    from feature_changes
    group by customer_id
)
select
    d.date,
    count(*) as customers,
    count(case when f.first_day = d.date then 1 end) as unseen
from recent_days as d
inner join firsts as f on f.customer_id = d.customer_id
where d.first_visit_at is not null
group by d.date
order by d.date
