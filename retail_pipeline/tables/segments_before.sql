-- The features that say where the customers of some days of one month stood before: at the month close (close: its
-- rfm_features; $close: its day), and on the day of their last order since (those of the day, with no days since it).
select
    'close' as moment,
    snapshot_date,
    customer_id,
    recency_days,
    frequency,
    monetary,
    avg_order_value,
    tenure_days,
    active_days,
    first_sold_at,
    last_sold_at
from close
union all
select
    'order' as moment,
    snapshot_date,
    customer_id,
    0 as recency_days,
    frequency,
    monetary,
    avg_order_value,
    tenure_days - recency_days as tenure_days,
    active_days,
    first_sold_at,
    last_sold_at
from rfm_features
where recency_days < date_diff('day', $close, snapshot_date)
