-- The clean transaction lines of the days in judged_rows.
select
    date,
    source_id,
    source_row,
    source_system,
    tidy_invoice_id as invoice_id,
    tidy_product_id as product_id,
    tidy_description as description,
    quantity,
    line_price as unit_price,
    line_amount as amount,
    sold_at,
    tidy_customer_id as customer_id,
    tidy_country as country,
    currency,
    line_kind
from judged_rows
where refused_by = ''
