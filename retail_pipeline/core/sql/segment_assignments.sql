-- The segments of one day under one segmentation (assigned: customer_id, segment, score, reason), with what they were
-- at the last month close (previous: the assignments of that close; empty before the first).
select
    a.customer_id,
    a.segment,
    a.score,
    a.reason,
    p.segment as previous_segment,
    case
        when p.segment = a.segment then p.segment_since
        when $is_month_close then $snapshot_date
    end as segment_since,
    $model_month as model_month
from assigned as a
left join previous as p on p.customer_id = a.customer_id
order by a.customer_id
