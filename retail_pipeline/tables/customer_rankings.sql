-- The first hundred customers of one day by total spend, by average order value and by number of orders.
with active as (
    select customer_id, monetary, frequency, avg_order_value, recency_days
    from rfm_features
    where frequency > 0
),
ranked as (
    select 'total' as ranking, row_number() over (order by monetary desc, customer_id) as rank, *
    from active
    union all
    select 'average' as ranking, row_number() over (order by avg_order_value desc, customer_id) as rank, *
    from active
    union all
    select 'orders' as ranking, row_number() over (order by frequency desc, customer_id) as rank, *
    from active
)
select ranking, rank, customer_id, monetary, frequency, avg_order_value, recency_days
from ranked
where rank <= 100
order by ranking, rank
