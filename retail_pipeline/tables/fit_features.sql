-- What a fit reads of the customers of one snapshot.
select
    customer_id,
    cast(recency_days as double) as recency_days,
    cast(frequency as double) as frequency,
    cast(monetary as double) as monetary,
    cast(avg_order_value as double) as avg_order_value,
    cast(tenure_days as double) as tenure_days,
    cast(active_days as double) as active_days
from rfm_features
