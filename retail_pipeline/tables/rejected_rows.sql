-- The rows of judged_rows that a cleaning rule refuses, as delivered, with every reason.
select
    date,
    source_id,
    source_row,
    source_system,
    invoice_id,
    product_id,
    description,
    quantity,
    unit_price,
    amount,
    sold_at,
    customer_id,
    country,
    currency,
    string_split(refused_by, ',') as reasons
from judged_rows
where refused_by <> ''
