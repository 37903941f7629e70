-- Distinct invoices and revenue by weekday, month of the year, season and hour, anonymous sales included.
-- sales_hours: those of the feature window; positions: every row that the table has (dimension, position, label). An
-- invoice counts once, with all its lines, at its first moment: one that began before the window is none of it. The
-- first day of year 1 was a Monday, which spares the engines' day-of-week functions: they disagree.
with placed as (
    select
        date_diff('day', date '0001-01-01', began_on) % 7 + 1 as weekday,
        extract(month from began_on) as month,
        hour,
        invoices,
        orders,
        revenue
    from sales_hours
    where began_on >= (select min(date) from sales_hours)
),
counted as (
    select
        weekday,
        month,
        case
            when month in (3, 4, 5) then 1
            when month in (6, 7, 8) then 2
            when month in (9, 10, 11) then 3
            else 4
        end as season,
        hour,
        sum(invoices) as invoices,
        sum(orders) as orders,
        sum(revenue) as revenue
    from placed
    group by weekday, month, hour
)
select
    p.dimension,
    p.position,
    p.label,
    cast(coalesce(sum(c.invoices), 0) as bigint) as invoices,
    cast(coalesce(sum(c.orders), 0) as bigint) as orders,
    cast(coalesce(sum(c.revenue), 0) as decimal(18, 4)) as revenue
from positions as p
left join counted as c
    on p.position = case p.dimension
        when 'weekday' then c.weekday
        when 'month' then c.month
        when 'season' then c.season
        else c.hour
    end
group by p.dimension, p.position, p.label
order by p.dimension, p.position
