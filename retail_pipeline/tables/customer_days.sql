-- What each known customer did on each day. Sums only: they add up over days.
-- An invoice is one order of one customer, whatever days its lines lie on: it counts on its first day. earlier: the
-- transactions of the days before that count; an invoice of which one of the $invoice_days days before a day has a
-- sale is not counted again on that day. Nor are visits, which count invoices with a sale or a return.
with invoices as (
    select
        cast(sold_at as date) as date,
        source_system,
        invoice_id,
        customer_id,
        max(case when line_kind = 'sale' then 1 else 0 end) as sells
    from transactions
    where customer_id is not null and line_kind <> 'adjustment'
    group by cast(sold_at as date), source_system, invoice_id, customer_id
),
known as (
    select distinct source_system, invoice_id, customer_id
    from invoices
),
begun_before as (
    select
        cast(e.sold_at as date) as date,
        e.source_system,
        e.invoice_id,
        e.customer_id,
        max(case when e.line_kind = 'sale' then 1 else 0 end) as sells
    from earlier as e
    inner join known as k
        on k.customer_id = e.customer_id and k.invoice_id = e.invoice_id and k.source_system = e.source_system
    where e.line_kind <> 'adjustment'
    group by cast(e.sold_at as date), e.source_system, e.invoice_id, e.customer_id
),
seen as (
    select
        date,
        customer_id,
        sells,
        max(date) over before as visited_before,
        max(case when sells = 1 then date end) over before as sold_before
    from (select * from invoices union all select * from begun_before) as every_day
    window before as (
        partition by source_system, invoice_id, customer_id
        order by date
        rows between unbounded preceding and 1 preceding
    )
),
begun as (
    select
        date,
        customer_id,
        count(
            case
                when sells = 1 and coalesce(date_diff('day', sold_before, date) > $invoice_days, true) then 1
            end
        ) as orders,
        count(case when coalesce(date_diff('day', visited_before, date) > $invoice_days, true) then 1 end) as visits
    from seen
    group by date, customer_id
),
sums as (
    select
        cast(sold_at as date) as date,
        customer_id,
        count(*) as lines,
        cast(sum(case when line_kind = 'sale' then quantity else 0 end) as decimal(18, 3)) as units,
        cast(sum(case when line_kind = 'sale' then amount else 0 end) as decimal(18, 4)) as gross_amount,
        cast(sum(case when line_kind = 'return' then -amount else 0 end) as decimal(18, 4)) as returned_amount,
        cast(sum(amount) as decimal(18, 4)) as net_amount,
        min(case when line_kind = 'sale' then sold_at end) as first_sold_at,
        max(case when line_kind = 'sale' then sold_at end) as last_sold_at,
        min(case when line_kind <> 'adjustment' then sold_at end) as first_visit_at,
        max(case when line_kind <> 'adjustment' then sold_at end) as last_visit_at
    from transactions
    where customer_id is not null and (line_kind <> 'adjustment' or $include_adjustments)
    group by cast(sold_at as date), customer_id
)
select
    s.date,
    s.customer_id,
    coalesce(b.orders, 0) as orders,
    s.lines,
    s.units,
    s.gross_amount,
    s.returned_amount,
    s.net_amount,
    s.first_sold_at,
    s.last_sold_at,
    coalesce(b.visits, 0) as visits,
    s.first_visit_at,
    s.last_visit_at
from sums as s
left join begun as b on b.date = s.date and b.customer_id = s.customer_id
order by s.date, s.customer_id
