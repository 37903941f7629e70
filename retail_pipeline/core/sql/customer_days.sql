-- What each known customer did on each day. Sums only: they add up over days.
select
    cast(sold_at as date) as date,
    customer_id,
    count(distinct case when line_kind = 'sale' then concat_ws('|', source_system, invoice_id) end) as orders,
    count(*) as lines,
    cast(sum(case when line_kind = 'sale' then quantity else 0 end) as decimal(18, 3)) as units,
    cast(sum(case when line_kind = 'sale' then amount else 0 end) as decimal(18, 4)) as gross_amount,
    cast(sum(case when line_kind = 'return' then -amount else 0 end) as decimal(18, 4)) as returned_amount,
    cast(sum(amount) as decimal(18, 4)) as net_amount,
    min(case when line_kind = 'sale' then sold_at end) as first_sold_at,
    max(case when line_kind = 'sale' then sold_at end) as last_sold_at
from transactions
where customer_id is not null and (line_kind <> 'adjustment' or $include_adjustments)
group by cast(sold_at as date), customer_id
order by date, customer_id
