-- Distinct invoices and revenue by weekday, month of the year, season and hour, anonymous sales included.
-- transactions: the clean lines of the feature window; positions: every row that the table has (dimension, position,
-- label). An invoice counts once, with all its lines, at its first moment. The first day of year 1 was a Monday, which
-- spares the engines' day-of-week functions: they disagree.
with invoices as (
    select
        source_system,
        invoice_id,
        min(sold_at) as first_sold_at,
        max(case when line_kind = 'sale' then 1 else 0 end) as is_order,
        sum(case when line_kind <> 'adjustment' or $include_adjustments then amount else 0 end) as revenue
    from transactions
    group by source_system, invoice_id
),
placed as (
    select
        date_diff('day', date '0001-01-01', cast(first_sold_at as date)) % 7 + 1 as weekday,
        extract(month from first_sold_at) as month,
        extract(hour from first_sold_at) as hour,
        is_order,
        revenue
    from invoices
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
        count(*) as invoices,
        sum(is_order) as orders,
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
