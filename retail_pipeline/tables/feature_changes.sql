-- What the days of each customer add up to, as of each day from first to through on which that changes: one row for each
-- span of days in which it stays the same, holds_from to the day before holds_until (null: to the end). Days are numbers
-- here, from 1970 on. What leaves the window is taken off the sums again; window_days: null for all history. place: the
-- order of the rows, by customer_id and day.
-- visits: orders, and returns too if $returns_are_visits. Who has any in the window has a frequency of 1 at least, be it
-- that the invoice began before. $everybody: those who only returned are customers, too.
with days as (
    select
        customer_id,
        date_diff('day', date '1970-01-01', date) as day,
        case when $returns_are_visits then visits else orders end as visits,
        gross_amount,
        net_amount,
        case when coalesce(first_sold_at, case when $returns_are_visits then first_visit_at end) is not null then 1
            else 0 end as active_days,
        first_sold_at,
        last_sold_at,
        first_visit_at,
        last_visit_at
    from customer_days
),
changes as (
    select *
    from days
    union all
    select
        customer_id,
        day + $window_days as day,
        -visits as visits,
        -gross_amount as gross_amount,
        -net_amount as net_amount,
        -active_days as active_days,
        cast(null as timestamp) as first_sold_at,
        cast(null as timestamp) as last_sold_at,
        cast(null as timestamp) as first_visit_at,
        cast(null as timestamp) as last_visit_at
    from days
    where date_diff('day', date '1970-01-01', $through) - day >= $window_days
),
by_day as (
    select
        customer_id,
        greatest(day, date_diff('day', date '1970-01-01', $first)) as day,
        sum(visits) as visits,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(active_days) as active_days,
        min(first_sold_at) as first_sold_at,
        max(last_sold_at) as last_sold_at,
        min(first_visit_at) as first_visit_at,
        max(last_visit_at) as last_visit_at
    from changes
    group by customer_id, greatest(day, date_diff('day', date '1970-01-01', $first))
),
sums as (
    select
        customer_id,
        day as holds_from,
        lead(day) over (partition by customer_id order by day) as holds_until,
        cast(greatest(sum(visits) over so_far, least(sum(active_days) over so_far, 1)) as bigint) as frequency,
        cast(sum(gross_amount) over so_far as decimal(18, 4)) as gross,
        cast(sum(net_amount) over so_far as decimal(18, 4)) as net,
        cast(sum(active_days) over so_far as bigint) as active_days,
        min(first_sold_at) over so_far as first_sold_at,
        max(last_sold_at) over so_far as last_sold_at,
        min(first_visit_at) over so_far as first_visit_at,
        max(last_visit_at) over so_far as last_visit_at
    from by_day
    window so_far as (partition by customer_id order by day rows between unbounded preceding and current row)
)
select
    *,
    row_number() over (order by customer_id, holds_from) as place
from sums
where last_sold_at is not null or ($everybody and last_visit_at is not null)
order by customer_id, holds_from
