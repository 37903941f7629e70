-- The segments of some days of one month under one segmentation (assigned: snapshot_date, customer_id, segment, score,
-- reason), with what they were at the last month close before (previous: the assignments of that close; empty before the
-- first). month_close: the last day of the month.
select
    a.snapshot_date,
    a.customer_id,
    a.segment,
    a.score,
    a.reason,
    p.segment as previous_segment,
    case
        when p.segment = a.segment then p.segment_since
        when a.snapshot_date = $month_close then a.snapshot_date
    end as segment_since,
    $model_month as model_month
from assigned as a
left join previous as p on p.customer_id = a.customer_id
order by a.snapshot_date, a.customer_id
