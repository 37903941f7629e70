-- The invoices of known customers by day and kind of line: all that customer_days.sql asks of the days before (earlier),
-- in a twentieth of their rows.
select distinct
    cast(sold_at as date) as date,
    cast(cast(sold_at as date) as timestamp) as sold_at,
    source_system,
    invoice_id,
    customer_id,
    line_kind
from transactions
where customer_id is not null and line_kind <> 'adjustment'
order by date, source_system, invoice_id, customer_id, line_kind
