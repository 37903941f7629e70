-- The country of the last sale of each known customer on each day, of those sales that name one.
with bought_in as (
    select cast(sold_at as date) as date, customer_id, country, max(sold_at) as last_sold_at
    from transactions
    where customer_id is not null and country is not null and line_kind = 'sale'
    group by cast(sold_at as date), customer_id, country
),
placed as (
    select
        *,
        row_number() over (partition by date, customer_id order by last_sold_at desc, country) as place
    from bought_in
)
select date, customer_id, country
from placed
where place = 1
order by date, customer_id
