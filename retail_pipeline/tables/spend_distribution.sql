-- The active customers of one day over orders and spend. orders_edges (orders_from, orders_to) and spend_edges
-- (spend_from, spend_to): the cells' limits; orders_to is included, spend_to is not, null is no limit.
with active as (
    select frequency, monetary
    from rfm_features
    where frequency > 0
),
cells as (
    select o.orders_from, o.orders_to, s.spend_from, s.spend_to
    from orders_edges as o
    cross join spend_edges as s
),
placed as (
    select o.orders_from, s.spend_from, count(*) as customers, sum(a.monetary) as revenue
    from active as a
    inner join orders_edges as o
        on a.frequency >= o.orders_from and (o.orders_to is null or a.frequency <= o.orders_to)
    inner join spend_edges as s
        on a.monetary >= s.spend_from and (s.spend_to is null or a.monetary < s.spend_to)
    group by o.orders_from, s.spend_from
)
select
    c.orders_from,
    c.orders_to,
    c.spend_from,
    c.spend_to,
    coalesce(p.customers, 0) as customers,
    cast(coalesce(p.revenue, 0) as decimal(18, 4)) as revenue
from cells as c
left join placed as p on p.orders_from = c.orders_from and p.spend_from = c.spend_from
order by c.orders_from, c.spend_from
