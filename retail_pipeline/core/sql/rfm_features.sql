-- The RFM features of every customer who ever bought, as of the end of each day in snapshots (snapshot_date,
-- window_start: the window is after window_start up to snapshot_date).
with sums as (
    select
        s.snapshot_date,
        d.customer_id,
        sum(case when d.date > s.window_start then d.orders else 0 end) as frequency,
        sum(case when d.date > s.window_start then d.gross_amount else 0 end) as gross,
        sum(case when d.date > s.window_start then d.net_amount else 0 end) as net,
        sum(case when d.date > s.window_start and d.orders > 0 then 1 else 0 end) as active_days,
        min(d.first_sold_at) as first_sold_at,
        max(d.last_sold_at) as last_sold_at
    from snapshots as s
    inner join customer_days as d on d.date <= s.snapshot_date
    group by s.snapshot_date, d.customer_id
    having sum(d.orders) > 0
)
select
    snapshot_date,
    customer_id,
    date_diff('day', cast(last_sold_at as date), snapshot_date) as recency_days,
    cast(frequency as bigint) as frequency,
    cast(case when $net_of_returns then net else gross end as decimal(18, 4)) as monetary,
    cast(cast(gross as double) / nullif(cast(frequency as double), 0) as decimal(18, 4)) as avg_order_value,
    date_diff('day', cast(first_sold_at as date), snapshot_date) as tenure_days,
    cast(active_days as bigint) as active_days,
    first_sold_at,
    last_sold_at
from sums
order by snapshot_date, customer_id
