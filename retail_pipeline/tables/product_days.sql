-- What was sold of each product under each text on each day. Sums only: they add up over days.
-- earlier: the transactions of the days before that count; an invoice that sold a product on one of the $invoice_days
-- days before is not counted again. The invoices of a product stand with the first of its texts.
with texts as (
    select
        cast(sold_at as date) as date,
        product_id,
        coalesce(description, '') as description,
        count(case when line_kind = 'sale' then 1 end) as sales,
        sum(amount) as revenue,
        sum(case when line_kind = 'sale' then quantity else 0 end) as units,
        sum(case when line_kind = 'return' then abs(quantity) else 0 end) as returned_units
    from transactions
    where product_id is not null and line_kind <> 'adjustment'
    group by cast(sold_at as date), product_id, coalesce(description, '')
),
sold as (
    select date, product_id, cast(sum(sells) as bigint) as invoices, cast(sum(returns) as bigint) as returns
    from (
        select
            cast(sold_at as date) as date,
            product_id,
            source_system,
            invoice_id,
            max(case when line_kind = 'sale' then 1 else 0 end) as sells,
            max(case when line_kind = 'return' then 1 else 0 end) as returns
        from transactions
        where product_id is not null and line_kind <> 'adjustment'
        group by cast(sold_at as date), product_id, source_system, invoice_id
    ) as once
    group by date, product_id
),
over_days as (
    select source_system, invoice_id
    from (
        select source_system, invoice_id, sold_at from transactions
        union all
        select source_system, invoice_id, sold_at from earlier
    ) as every_line
    group by source_system, invoice_id
    having min(cast(sold_at as date)) < max(cast(sold_at as date))
),
going_on as (
    select distinct cast(l.sold_at as date) as date, l.product_id, l.source_system, l.invoice_id
    from (
        select sold_at, product_id, source_system, invoice_id, line_kind from transactions
        union all
        select sold_at, product_id, source_system, invoice_id, line_kind from earlier
    ) as l
    inner join over_days as o on o.invoice_id = l.invoice_id and o.source_system = l.source_system
    where l.line_kind = 'sale'
),
again as (
    select date, product_id, count(*) as invoices
    from (
        select distinct g.date, g.product_id, g.source_system, g.invoice_id
        from going_on as g
        inner join going_on as e
            on e.product_id = g.product_id and e.invoice_id = g.invoice_id and e.source_system = g.source_system
        where date_diff('day', e.date, g.date) between 1 and $invoice_days
    ) as once
    group by date, product_id
),
placed as (
    select *, row_number() over (partition by date, product_id order by description) as place
    from texts
)
select
    p.date,
    p.product_id,
    p.description,
    p.sales,
    cast(p.revenue as decimal(18, 4)) as revenue,
    cast(p.units as decimal(18, 3)) as units,
    case when p.place = 1 then coalesce(s.invoices, 0) - coalesce(a.invoices, 0) else 0 end as invoices,
    cast(p.returned_units as decimal(18, 3)) as returned_units,
    case when p.place = 1 then coalesce(s.returns, 0) else 0 end as returns
from placed as p
left join sold as s on s.date = p.date and s.product_id = p.product_id
left join again as a on a.date = p.date and a.product_id = p.product_id
order by p.date, p.product_id, p.description
