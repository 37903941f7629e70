-- The RFM features of every customer in feature_changes, as of the end of each day in snapshots (snapshot_date).
-- Recency and tenure count from sales, if there are any, or from visits of any kind if $returns_are_visits.
select
    s.snapshot_date,
    c.customer_id,
    date_diff(
        'day',
        cast(coalesce(case when not $returns_are_visits then c.last_sold_at end, c.last_visit_at) as date),
        s.snapshot_date
    ) as recency_days,
    c.frequency,
    case when $net_of_returns then c.net else c.gross end as monetary,
    cast(cast(c.gross as double) / nullif(cast(c.frequency as double), 0) as decimal(18, 4)) as avg_order_value,
    date_diff(
        'day',
        cast(coalesce(case when not $returns_are_visits then c.first_sold_at end, c.first_visit_at) as date),
        s.snapshot_date
    ) as tenure_days,
    c.active_days,
    c.first_sold_at,
    c.last_sold_at
from snapshots as s
inner join feature_changes as c
    on c.holds_from <= date_diff('day', date '1970-01-01', s.snapshot_date)
    and coalesce(c.holds_until > date_diff('day', date '1970-01-01', s.snapshot_date), true)
order by s.snapshot_date, c.place
