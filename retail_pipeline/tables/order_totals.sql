-- The rows of mapped (those of whole files) after order_total: what an order came to below the sum of its lines
-- (discounts and refunds that the export states for the order) is taken off its lines, in proportion to what they are worth
-- and to the cent. The total is for all lines of the order, those that keep_rows leaves out too (a gift card); where it could
-- be that of the others alone (a row of the order itself is left out), the order is refused. Lines of an order that cannot
-- be worked out get a reason; so does the rest of an order one of whose lines cannot be read.
with lines as (
    select
        *,
        rowid as row_no,
        reasons is null as counts,
        coalesce(amount, try_cast(quantity * unit_price as decimal(18, 4)), 0) as worth
    from mapped
),
orders as (
    select
        *,
        count(reasons) over whole_order as unread,
        count(*) filter (where counts) over whole_order as lines,
        min(order_total) filter (where counts) over whole_order as lowest,
        max(order_total) filter (where counts) over whole_order as total,
        sum(worth) filter (where counts) over whole_order as whole,
        sum(worth) filter (where counts and not left_out) over whole_order as kept,
        sum(greatest(worth, 0)) filter (where counts) over whole_order as positive,
        coalesce(sum(greatest(worth, 0)) filter (where counts) over (whole_order order by row_no), 0) as so_far
    from lines
    window whole_order as (partition by file_no, invoice_id)
),
reasoned as (
    select
        *,
        case
            when not counts or left_out or invoice_id is null then null
            when unread > 0 then 'order_total: another line of the order cannot be read'
            when lowest <> total then
                'order_total: the lines of the order name ' || lowest || ' and ' || total || ': mend it in the profile'
            when total > whole + 0.01 * lines then
                'order_total: ' || total || ' is more than the lines of the order are worth, ' || whole
                || ': mend it in the profile'
            when total <= kept and kept < whole then
                'order_total: ' || total || ' may be that of all lines of the order, worth ' || whole || ', or of those that '
                || 'keep_rows keeps, worth ' || kept || ': give those that it leaves out no amount in the profile'
            when whole - total > positive then
                'order_total: ' || total || ' is less than the lines of the order can come to: mend it in the profile'
        end as reason,
        total - whole as rest
    from orders
)
select
    * exclude (row_no, counts, worth, unread, lines, lowest, total, whole, kept, positive, so_far, reason, rest, order_total)
    replace (
        case when reason is null then reasons else [reason] end as reasons,
        case when reason is not null or reasons is not null then payload end as payload,
        case when counts and rest <> 0 and invoice_id is not null then null else unit_price end as unit_price,
        case when counts and rest <> 0 and invoice_id is not null then try_cast(
            worth
            + case when so_far = positive then rest else cast(round(cast(rest as double) * so_far / positive, 2) as decimal(18, 4)) end
            - cast(round(cast(rest as double) * (so_far - greatest(worth, 0)) / positive, 2) as decimal(18, 4))
            as decimal(18, 4)
        ) else amount end as amount
    )
from reasoned
order by row_no
