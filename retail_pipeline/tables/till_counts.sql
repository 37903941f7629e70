-- Orders and customers in transactions, for each day and (date null) for all of them together. An order is a sale invoice of
-- one source system, counted on its first day here whatever days its lines lie on; a customer is one who bought.
-- Customers do not add up over days: who comes on two days is one.
with sales as (
    select distinct cast(sold_at as date) as date, source_system, invoice_id, customer_id
    from transactions
    where line_kind = 'sale'
),
begun as (
    select source_system, invoice_id, min(date) as date
    from sales
    group by source_system, invoice_id
),
counted as (
    select date, count(*) as orders, 0 as customers from begun group by grouping sets ((date), ())
    union all
    select date, 0 as orders, count(distinct customer_id) as customers from sales group by grouping sets ((date), ())
)
select date, cast(sum(orders) as bigint) as orders, cast(sum(customers) as bigint) as customers
from counted
group by date
order by date nulls first
