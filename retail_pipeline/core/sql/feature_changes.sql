-- What the days of each customer add up to, as of each day from first to through on which that changes: one row for each
-- span of days in which it stays the same, holds_from to the day before holds_until (null: to the end). Days are numbers
-- here, from 1970 on. What leaves the window is taken off the sums again; window_days: null for all history. place: the
-- order of the rows, by customer_id and day.
with changes as (
    select
        customer_id,
        date_diff('day', date '1970-01-01', date) as day,
        orders,
        gross_amount,
        net_amount,
        case when orders > 0 then 1 else 0 end as active_days,
        first_sold_at,
        last_sold_at
    from customer_days
    union all
    select
        customer_id,
        date_diff('day', date '1970-01-01', date) + $window_days as day,
        -orders as orders,
        -gross_amount as gross_amount,
        -net_amount as net_amount,
        case when orders > 0 then -1 else 0 end as active_days,
        cast(null as timestamp) as first_sold_at,
        cast(null as timestamp) as last_sold_at
    from customer_days
    where date_diff('day', date, $through) >= $window_days
),
by_day as (
    select
        customer_id,
        greatest(day, date_diff('day', date '1970-01-01', $first)) as day,
        sum(orders) as orders,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(active_days) as active_days,
        min(first_sold_at) as first_sold_at,
        max(last_sold_at) as last_sold_at
    from changes
    group by customer_id, greatest(day, date_diff('day', date '1970-01-01', $first))
),
sums as (
    select
        customer_id,
        day as holds_from,
        lead(day) over (partition by customer_id order by day) as holds_until,
        cast(sum(orders) over so_far as bigint) as frequency,
        cast(sum(gross_amount) over so_far as decimal(18, 4)) as gross,
        cast(sum(net_amount) over so_far as decimal(18, 4)) as net,
        cast(sum(active_days) over so_far as bigint) as active_days,
        min(first_sold_at) over so_far as first_sold_at,
        max(last_sold_at) over so_far as last_sold_at
    from by_day
    window so_far as (partition by customer_id order by day rows between unbounded preceding and current row)
)
select
    *,
    row_number() over (order by customer_id, holds_from) as place
from sums
where last_sold_at is not null
order by customer_id, holds_from
