-- What each source system's transactions of a day are like: counts by what they count and, where they count several
-- things, by name. Prices and quantities of sales are counted in steps of a quarter of a natural logarithm. Of customers
-- and baskets a sample is named, always the same ones: those whose hash is smallest. A basket is what an invoice says
-- but its number and time, so that it is the same when it is delivered again.
with lines as (
    -- lines that say the same within an invoice are one here, however often they stand there
    select
        date,
        source_system,
        invoice_id,
        product_id,
        quantity,
        unit_price,
        count(*) as copies,
        sum(amount) as amount,
        min(amount) as amount_once,
        min(line_kind) as line_kind,
        min(customer_id) as customer_id,
        max(customer_id) as other_customer,
        count(customer_id) as known,
        min(extract(hour from sold_at)) as hour,
        min(country) as country
    from transactions
    group by date, source_system, invoice_id, product_id, quantity, unit_price
),
invoices as (
    select
        date,
        source_system,
        substr(
            md5(
                concat_ws(
                    '|',
                    coalesce(min(customer_id), ''),
                    cast(count(*) as varchar),
                    cast(cast(sum(amount_once) as decimal(38, 4)) as varchar),
                    min(product_id),
                    max(product_id)
                )
            ),
            1,
            8
        ) as basket,
        case
            when min(customer_id) <> max(other_customer) then 1
            when sum(known) between 1 and sum(copies) - 1 then 1
            else 0
        end as is_mixed,
        coalesce(min(country), '') as country
    from lines
    group by date, source_system, invoice_id
),
baskets as (
    select
        date,
        source_system,
        basket,
        count(*) as invoices,
        sum(is_mixed) as mixed
    from invoices
    group by date, source_system, basket
),
customers as (
    select
        date,
        source_system,
        substr(md5(customer_id), 1, 8) as customer,
        sum(copies) as lines,
        substr(
            md5(
                concat_ws(
                    '|',
                    customer_id,
                    cast(count(*) as varchar),
                    cast(cast(sum(amount_once) as decimal(38, 4)) as varchar),
                    min(product_id),
                    max(product_id)
                )
            ),
            1,
            8
        ) as basket
    from lines
    where customer_id is not null
    group by date, source_system, customer_id
),
placed as (
    select *, row_number() over (partition by date, source_system order by customer) as place from customers
),
named as (
    select *, row_number() over (partition by date, source_system order by basket) as place
    from (
        select date, source_system, basket from baskets
        union
        select date, source_system, basket from customers
    ) as every_basket
),
products as (
    select date, source_system, count(distinct product_id) as products from lines group by date, source_system
),
counted as (
    select
        date,
        source_system,
        sum(copies) as lines,
        sum(copies - 1) as copies,
        sum(copies - known) as anonymous,
        sum(case when line_kind = 'sale' then copies else 0 end) as sales,
        sum(case when line_kind = 'return' then copies else 0 end) as returns,
        sum(case when line_kind <> 'adjustment' then amount else 0 end) as value,
        sum(case when line_kind = 'sale' then amount else 0 end) as sold,
        sum(case when line_kind = 'return' then -amount else 0 end) as returned,
        max(case when line_kind = 'sale' then amount else 0 end) as largest_line
    from lines
    group by date, source_system
),
figures as (
    select date, source_system, 'lines' as what, '' as name, lines as number from counted
    union all
    select date, source_system, 'copies' as what, '' as name, copies as number from counted
    union all
    select date, source_system, 'anonymous' as what, '' as name, anonymous as number from counted
    union all
    select date, source_system, 'sales' as what, '' as name, sales as number from counted
    union all
    select date, source_system, 'returns' as what, '' as name, returns as number from counted
    union all
    select date, source_system, 'value' as what, '' as name, trunc(value) as number from counted
    union all
    select date, source_system, 'sold' as what, '' as name, trunc(sold) as number from counted
    union all
    select date, source_system, 'returned' as what, '' as name, trunc(returned) as number from counted
    union all
    select date, source_system, 'largest_line' as what, '' as name, trunc(largest_line) as number from counted
    union all
    select date, source_system, 'products' as what, '' as name, products as number from products
    union all
    select date, source_system, 'invoices' as what, '' as name, sum(invoices) as number
    from baskets
    group by date, source_system
    union all
    select date, source_system, 'mixed' as what, '' as name, sum(mixed) as number
    from baskets
    group by date, source_system
    union all
    select date, source_system, 'repeated' as what, '' as name, sum(invoices - 1) as number
    from baskets
    group by date, source_system
    union all
    select date, source_system, 'customers' as what, '' as name, count(*) as number
    from customers
    group by date, source_system
    union all
    select date, source_system, 'top' as what, '' as name, max(lines) as number
    from customers
    group by date, source_system
    union all
    select date, source_system, 'hour' as what, cast(hour as varchar) as name, sum(copies) as number
    from lines
    group by date, source_system, hour
    union all
    select date, source_system, 'country' as what, country as name, count(*) as number
    from invoices
    group by date, source_system, country
    union all
    select date, source_system, 'price' as what, name, sum(copies) as number
    from (
        select *, cast(cast(floor(4 * ln(cast(unit_price as double))) as int) as varchar) as name
        from lines
        where line_kind = 'sale' and unit_price > 0
    ) as priced
    group by date, source_system, name
    union all
    select date, source_system, 'quantity' as what, name, sum(copies) as number
    from (
        select *, cast(cast(floor(4 * ln(cast(quantity as double))) as int) as varchar) as name
        from lines
        where line_kind = 'sale' and quantity > 0
    ) as sold
    group by date, source_system, name
    union all
    select date, source_system, 'customer' as what, customer as name, lines as number
    from placed
    where place <= $most
    union all
    select date, source_system, 'basket' as what, basket as name, 1 as number
    from named
    where place <= $most
)
select date, source_system, what, name, cast(number as bigint) as number
from figures
order by date, source_system, what, name
