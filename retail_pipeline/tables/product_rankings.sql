-- The first hundred products that were sold, by revenue, by units and by invoices, each less what came back.
-- product_days: those of the feature window.
with texts as (
    select
        product_id,
        nullif(description, '') as description,
        sum(sales) as sales,
        sum(revenue) as revenue,
        sum(units) as units,
        sum(invoices) as invoices,
        sum(returned_units) as returned_units,
        sum(returns) as returns
    from product_days
    group by product_id, nullif(description, '')
),
placed as (
    select
        *,
        row_number() over (partition by product_id order by sales desc, description) as place
    from texts
),
known as (
    select
        product_id,
        max(case when place = 1 then description end) as description,
        sum(revenue) as revenue,
        sum(units) as units,
        cast(sum(invoices) as bigint) as invoices,
        sum(returned_units) as returned_units,
        cast(sum(returns) as bigint) as returns
    from placed
    group by product_id
    having sum(invoices) > 0
),
ranked as (
    select 'revenue' as ranking, row_number() over (order by revenue desc, product_id) as rank, *
    from known
    union all
    select 'units' as ranking, row_number() over (order by units - returned_units desc, product_id) as rank, *
    from known
    union all
    select 'invoices' as ranking, row_number() over (order by invoices - returns desc, product_id) as rank, *
    from known
)
select
    ranking,
    rank,
    product_id,
    description,
    cast(revenue as decimal(18, 4)) as revenue,
    cast(units as decimal(18, 3)) as units,
    invoices,
    cast(returned_units as decimal(18, 3)) as returned_units,
    returns
from ranked
where rank <= 100
order by ranking, rank
