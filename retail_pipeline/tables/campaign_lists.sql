-- The members of one campaign on some days. candidates: the customers of the campaign's segments with their offer and rank_value, the
-- campaign's ranking expression; suppressed: customers who objected. The arm is the same on every engine: the first 8
-- hex digits of an md5, compared as text with a threshold computed outside.
-- What has no finite rank_value (the logarithm of a refund, a division by no orders) comes last.
select
    c.snapshot_date,
    c.customer_id,
    c.segment,
    case
        when substr(md5(concat_ws('|', c.customer_id, $campaign, $salt)), 1, 8) < $control_below then 'control'
        else 'treatment'
    end as arm,
    row_number() over (
        partition by c.snapshot_date
        order by case when c.rank_value between -1e308 and 1e308 then c.rank_value end desc nulls last, c.customer_id
    ) as rank,
    c.offer,
    $channel as channel,
    c.reason
from candidates as c
left join suppressed as s on s.customer_id = c.customer_id
where s.customer_id is null
order by c.snapshot_date, rank
