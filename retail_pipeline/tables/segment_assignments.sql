-- The segments of some days of one month under one segmentation (assigned: snapshot_date, customer_id, segment, score,
-- reason), with what they were at the last month close before (previous: the assignments of that close; empty before the
-- first). month_close: the last day of the month. Who stood in a segment stays in it while features near theirs give it
-- (near), first at the close under today's model, then on the day of the last order since, then on the day (given: what
-- the features of the first two moments themselves give). Without hysteresis near and given are empty.
with at_close as (
    select p.customer_id, coalesce(n.segment, g.segment, p.segment) as segment
    from previous as p
    left join given as g on g.moment = 'close' and g.customer_id = p.customer_id
    left join near as n on n.moment = 'close' and n.customer_id = p.customer_id and n.segment = p.segment
),
at_order as (
    select g.snapshot_date, g.customer_id, coalesce(n.segment, g.segment) as segment
    from given as g
    left join at_close as c on c.customer_id = g.customer_id
    left join near as n
        on n.moment = 'order'
        and n.snapshot_date = g.snapshot_date
        and n.customer_id = g.customer_id
        and n.segment = c.segment
    where g.moment = 'order'
),
steady as (
    select a.*, coalesce(n.segment, a.segment) as steady
    from assigned as a
    left join at_close as c on c.customer_id = a.customer_id
    left join at_order as o on o.snapshot_date = a.snapshot_date and o.customer_id = a.customer_id
    left join near as n
        on n.moment = 'day'
        and n.snapshot_date = a.snapshot_date
        and n.customer_id = a.customer_id
        and n.segment = coalesce(o.segment, c.segment)
)
select
    a.snapshot_date,
    a.customer_id,
    a.steady as segment,
    a.score,
    case
        when a.steady = a.segment then a.reason
        else concat('still ', a.steady, ', as its border is near; the figures alone say ', a.segment, ': ', a.reason)
    end as reason,
    p.segment as previous_segment,
    case
        when p.segment = a.steady then p.segment_since
        when a.snapshot_date = $month_close then a.snapshot_date
    end as segment_since,
    $model_month as model_month,
    a.segment as raw_segment
from steady as a
left join previous as p on p.customer_id = a.customer_id
order by a.snapshot_date, a.customer_id
