-- Orders, customers and revenue of periods. periods: a row for each day of each of them (kind, first_day, last_day, whole,
-- date); sales_hours: of the feature window; customer_days: all history.
with each as (
    select distinct kind, first_day, last_day, whole
    from periods
),
sold as (
    select
        p.kind,
        p.first_day,
        sum(s.orders) as orders,
        sum(s.gross_amount) as sales,
        sum(s.revenue) as revenue
    from periods as p
    inner join sales_hours as s on s.date = p.date
    group by p.kind, p.first_day
),
bought as (
    select p.kind, p.first_day, count(distinct c.customer_id) as customers
    from periods as p
    inner join customer_days as c on c.date = p.date
    where c.orders > 0
    group by p.kind, p.first_day
)
select
    e.kind,
    e.first_day,
    e.last_day,
    e.whole,
    cast(coalesce(s.orders, 0) as bigint) as orders,
    coalesce(b.customers, 0) as customers,
    cast(coalesce(s.sales, 0) as decimal(18, 4)) as sales,
    cast(coalesce(s.revenue, 0) as decimal(18, 4)) as revenue
from each as e
left join sold as s on s.kind = e.kind and s.first_day = e.first_day
left join bought as b on b.kind = e.kind and b.first_day = e.first_day
order by e.kind, e.first_day
