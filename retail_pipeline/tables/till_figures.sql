-- Lines and money of judged_rows by day, by what they are and by the rules that refuse them: what a shop compares with
-- its till, before anything is summed up. Money is line totals; of a total too large for its type it is null.
-- below_price is what sales cost less than quantity x unit_price, where a file gives both that and the total; null where
-- none does. Half a cent, and what a price rounded to four decimals makes of the quantity, is no discount.
with priced as (
    select
        date,
        refused_by,
        case
            when line_kind <> 'adjustment' then line_kind
            when line_amount < 0 then 'discount'
            else 'charge'
        end as kind,
        tidy_customer_id is null as is_anonymous,
        line_amount,
        case
            when line_kind = 'sale' and amount is not null and unit_price is not null
                then try_cast(cast(quantity as decimal(19, 3)) * unit_price as decimal(18, 4)) - amount
        end as difference,
        0.005 + 0.00005 * cast(quantity as double) as rounding
    from judged_rows
)
select
    date,
    refused_by,
    kind,
    is_anonymous,
    count(*) as lines,
    cast(sum(line_amount) as decimal(38, 4)) as amount,
    cast(sum(case when cast(difference as double) > rounding then 1 else 0 end) as bigint) as lines_below_price,
    cast(sum(case when cast(difference as double) > rounding then difference when difference is not null then 0 end) as decimal(38, 4))
        as below_price
from priced
group by date, refused_by, kind, is_anonymous
order by date, refused_by, kind, is_anonymous
