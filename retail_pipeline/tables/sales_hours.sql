-- What came in on each day by the hour in which its invoices began, anonymous sales included. Sums only: they add up
-- over days. earlier: the transactions of the days before that count; an invoice of which one of the $invoice_days days
-- before a day has lines began there, and is not counted again. Nor is an order, which counts with its first sale.
with invoices as (
    select
        cast(sold_at as date) as date,
        source_system,
        invoice_id,
        min(sold_at) as first_sold_at,
        max(case when line_kind = 'sale' then 1 else 0 end) as sells,
        sum(case when line_kind <> 'adjustment' or $include_adjustments then amount else 0 end) as revenue,
        sum(case when line_kind = 'sale' then amount else 0 end) as gross,
        sum(case when line_kind = 'sale' and customer_id is null then amount else 0 end) as anonymous,
        sum(case when line_kind = 'return' then -amount else 0 end) as returned
    from transactions
    group by cast(sold_at as date), source_system, invoice_id
),
known as (
    select distinct source_system, invoice_id
    from invoices
),
every_day as (
    select date, source_system, invoice_id, first_sold_at, sells
    from invoices
    union all
    select
        cast(e.sold_at as date) as date,
        e.source_system,
        e.invoice_id,
        min(e.sold_at) as first_sold_at,
        max(case when e.line_kind = 'sale' then 1 else 0 end) as sells
    from earlier as e
    inner join known as k on k.invoice_id = e.invoice_id and k.source_system = e.source_system
    group by cast(e.sold_at as date), e.source_system, e.invoice_id
),
going_on as (
    select i.date, i.source_system, i.invoice_id, min(e.first_sold_at) as began_at, max(e.sells) as sold
    from invoices as i
    inner join every_day as e on e.invoice_id = i.invoice_id and e.source_system = i.source_system
    where date_diff('day', e.date, i.date) between 1 and $invoice_days
    group by i.date, i.source_system, i.invoice_id
),
placed as (
    select
        i.*,
        coalesce(g.began_at, i.first_sold_at) as began_at,
        case when g.began_at is null then 1 else 0 end as begins,
        coalesce(g.sold, 0) as sold
    from invoices as i
    left join going_on as g
        on g.date = i.date and g.invoice_id = i.invoice_id and g.source_system = i.source_system
)
select
    date,
    cast(began_at as date) as began_on,
    cast(extract(hour from began_at) as bigint) as hour,
    cast(sum(begins) as bigint) as invoices,
    count(case when sells = 1 and sold = 0 then 1 end) as orders,
    cast(sum(revenue) as decimal(18, 4)) as revenue,
    cast(sum(gross) as decimal(18, 4)) as gross_amount,
    cast(sum(anonymous) as decimal(18, 4)) as anonymous_amount,
    cast(sum(returned) as decimal(18, 4)) as returned_amount
from placed
group by date, cast(began_at as date), extract(hour from began_at)
order by date, began_on, hour
