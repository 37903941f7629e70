-- The customer with the largest share of the lines, orders or value of the $days days up to each day in snapshots
-- (snapshot_date), if it is above $share; and how many customers came in these days. Value is what was kept, of what was
-- sold. Who has such a share of some days together has it of one of them: so few customers are looked at.
-- Decimals are summed and then cast: a sum of doubles depends on the order of the rows.
with totals as (
    select
        date,
        sum(lines) as lines,
        sum(orders) as orders,
        sum(gross_amount) as amount
    from recent_days
    group by date
),
heavy as (
    select distinct d.customer_id
    from recent_days as d
    inner join totals as t on t.date = d.date
    where
        cast(d.lines as double) > $share * cast(t.lines as double)
        or cast(d.orders as double) > $share * cast(t.orders as double)
        or cast(d.net_amount as double) > $share * cast(t.amount as double)
),
together as (
    select
        s.snapshot_date,
        cast(sum(t.lines) as double) as lines,
        cast(sum(t.orders) as double) as orders,
        cast(sum(t.amount) as double) as amount
    from snapshots as s
    inner join totals as t on date_diff('day', t.date, s.snapshot_date) between 0 and $days - 1
    group by s.snapshot_date
),
theirs as (
    select
        s.snapshot_date,
        d.customer_id,
        cast(sum(d.lines) as double) as lines,
        cast(sum(d.orders) as double) as orders,
        cast(sum(d.net_amount) as double) as amount
    from recent_days as d
    inner join heavy as h on h.customer_id = d.customer_id
    inner join snapshots as s on date_diff('day', d.date, s.snapshot_date) between 0 and $days - 1
    group by s.snapshot_date, d.customer_id
),
shares as (
    select
        o.snapshot_date,
        o.customer_id,
        greatest(
            coalesce(o.lines / nullif(t.lines, 0), 0),
            coalesce(o.orders / nullif(t.orders, 0), 0),
            coalesce(o.amount / nullif(t.amount, 0), 0)
        ) as share
    from theirs as o
    inner join together as t on t.snapshot_date = o.snapshot_date
),
largest as (
    select
        snapshot_date,
        customer_id,
        share,
        row_number() over (partition by snapshot_date order by share desc, customer_id) as place
    from shares
    where share > $share
),
crowd as (
    select l.snapshot_date, count(distinct d.customer_id) as customers
    from largest as l
    inner join recent_days as d on date_diff('day', d.date, l.snapshot_date) between 0 and $days - 1
    where l.place = 1
    group by l.snapshot_date
)
select l.snapshot_date, l.customer_id, l.share, c.customers
from largest as l
inner join crowd as c on c.snapshot_date = l.snapshot_date
where l.place = 1
order by l.snapshot_date
