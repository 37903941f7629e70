-- Distinct invoices and revenue by weekday, month of the year, season and hour, anonymous sales included.
-- sales_hours: those of the feature window; positions: every row that the table has (dimension, position, label);
-- calendar: the days of the window that count (date, weekday, month, season, whole_month, whole_season: all days of its
-- month or season count). An invoice counts once, with all its lines, at its first moment: one that began before the
-- window is none of it. Hours have all days.
with placed as (
    select c.*, s.hour, s.invoices, s.orders, s.revenue, s.gross_amount
    from sales_hours as s
    inner join calendar as c on c.date = s.began_on
    where s.began_on >= (select min(date) from sales_hours)
),
counted as (
    select
        weekday,
        month,
        season,
        hour,
        whole_month,
        whole_season,
        sum(invoices) as invoices,
        sum(orders) as orders,
        sum(revenue) as revenue,
        sum(gross_amount) as gross
    from placed
    group by weekday, month, season, hour, whole_month, whole_season
),
sold as (
    select
        p.dimension,
        p.position,
        p.label,
        cast(coalesce(sum(c.invoices), 0) as bigint) as invoices,
        cast(coalesce(sum(c.orders), 0) as bigint) as orders,
        cast(coalesce(sum(c.revenue), 0) as decimal(18, 4)) as revenue,
        coalesce(
            sum(
                case
                    when p.dimension = 'month' and not c.whole_month then 0
                    when p.dimension = 'season' and not c.whole_season then 0
                    else c.orders
                end
            ),
            0
        ) as orders_of_days,
        coalesce(
            sum(
                case
                    when p.dimension = 'month' and not c.whole_month then 0
                    when p.dimension = 'season' and not c.whole_season then 0
                    else c.gross
                end
            ),
            0
        ) as sales_of_days
    from positions as p
    left join counted as c
        on p.position = case p.dimension
            when 'weekday' then c.weekday
            when 'month' then c.month
            when 'season' then c.season
            else c.hour
        end
    group by p.dimension, p.position, p.label
),
lengths as (
    select p.dimension, p.position, count(d.date) as days
    from positions as p
    left join calendar as d
        on case p.dimension
            when 'weekday' then p.position = d.weekday
            when 'month' then p.position = d.month and d.whole_month
            when 'season' then p.position = d.season and d.whole_season
            else true
        end
    group by p.dimension, p.position
)
select
    s.dimension,
    s.position,
    s.label,
    s.invoices,
    s.orders,
    s.revenue,
    l.days,
    cast(s.orders_of_days as bigint) as orders_of_days,
    cast(s.sales_of_days as decimal(18, 4)) as sales_of_days
from sold as s
inner join lengths as l on l.dimension = s.dimension and l.position = s.position
order by s.dimension, s.position
