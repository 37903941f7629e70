-- The RFM features of every customer who ever bought, as of the end of each day in snapshots (snapshot_date).
select
    s.snapshot_date,
    c.customer_id,
    date_diff('day', cast(c.last_sold_at as date), s.snapshot_date) as recency_days,
    c.frequency,
    case when $net_of_returns then c.net else c.gross end as monetary,
    cast(cast(c.gross as double) / nullif(cast(c.frequency as double), 0) as decimal(18, 4)) as avg_order_value,
    date_diff('day', cast(c.first_sold_at as date), s.snapshot_date) as tenure_days,
    c.active_days,
    c.first_sold_at,
    c.last_sold_at
from snapshots as s
inner join feature_changes as c
    on c.holds_from <= date_diff('day', date '1970-01-01', s.snapshot_date)
    and coalesce(c.holds_until > date_diff('day', date '1970-01-01', s.snapshot_date), true)
order by s.snapshot_date, c.place
