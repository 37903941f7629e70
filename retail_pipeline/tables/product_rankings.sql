-- The first hundred products that were sold, by revenue, by units and by invoices.
-- transactions: the clean lines of the feature window.
with texts as (
    select
        product_id,
        description,
        count(case when line_kind = 'sale' then 1 end) as sales,
        sum(amount) as revenue,
        sum(case when line_kind = 'sale' then quantity else 0 end) as units
    from transactions
    where product_id is not null and line_kind <> 'adjustment'
    group by product_id, description
),
placed as (
    select
        *,
        row_number() over (partition by product_id order by sales desc, description) as place
    from texts
),
products as (
    select
        product_id,
        max(case when place = 1 then description end) as description,
        sum(revenue) as revenue,
        sum(units) as units
    from placed
    group by product_id
),
sold as (
    select distinct product_id, source_system, invoice_id
    from transactions
    where product_id is not null and line_kind = 'sale'
),
counted as (
    select product_id, count(*) as invoices
    from sold
    group by product_id
),
known as (
    select p.product_id, p.description, p.revenue, p.units, c.invoices
    from products as p
    inner join counted as c on c.product_id = p.product_id
),
ranked as (
    select 'revenue' as ranking, row_number() over (order by revenue desc, product_id) as rank, *
    from known
    union all
    select 'units' as ranking, row_number() over (order by units desc, product_id) as rank, *
    from known
    union all
    select 'invoices' as ranking, row_number() over (order by invoices desc, product_id) as rank, *
    from known
)
select
    ranking,
    rank,
    product_id,
    description,
    cast(revenue as decimal(18, 4)) as revenue,
    cast(units as decimal(18, 3)) as units,
    invoices
from ranked
where rank <= 100
order by ranking, rank
