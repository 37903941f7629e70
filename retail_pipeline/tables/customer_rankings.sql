-- The first hundred customers of one day by total spend, by spend an order and by number of orders. Spend is net of what
-- came back, so that an order that was cancelled places nobody; of whom nothing is left is in no ranking.
with active as (
    select
        customer_id,
        monetary,
        frequency,
        avg_order_value,
        recency_days,
        cast(cast(monetary as double) / frequency as decimal(18, 4)) as spend_per_order
    from rfm_features
    where frequency > 0 and monetary > 0
),
ranked as (
    select 'total' as ranking, row_number() over (order by monetary desc, customer_id) as rank, *
    from active
    union all
    select 'average' as ranking, row_number() over (order by spend_per_order desc, customer_id) as rank, *
    from active
    union all
    select 'orders' as ranking, row_number() over (order by frequency desc, customer_id) as rank, *
    from active
)
select ranking, rank, customer_id, monetary, frequency, avg_order_value, recency_days, spend_per_order
from ranked
where rank <= 100
order by ranking, rank
