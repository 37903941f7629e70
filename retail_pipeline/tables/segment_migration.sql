-- Moves between the segments of one segmentation since an earlier day. segment_assignments and rfm_features: today's;
-- earlier: the segments of the earlier day (customer_id, segment); under_earlier_model: today's features under the
-- model of the earlier day (the same columns). Who moved did so by behaviour when that model moves them too, else by
-- the model; who is new has not moved.
with moves as (
    select
        coalesce(e.segment, 'New') as from_segment,
        a.segment as to_segment,
        f.monetary,
        e.segment <> a.segment as moved,
        e.segment <> u.segment as moved_by_earlier_model
    from segment_assignments as a
    inner join rfm_features as f on f.customer_id = a.customer_id
    left join earlier as e on e.customer_id = a.customer_id
    left join under_earlier_model as u on u.customer_id = a.customer_id
)
select
    $segmentation as segmentation,
    $compared_with as compared_with,
    $compared_day as compared_day,
    from_segment,
    to_segment,
    count(*) as customers,
    cast(sum(monetary) as decimal(18, 4)) as revenue,
    cast(sum(case when moved and moved_by_earlier_model then 1 else 0 end) as bigint) as by_behaviour,
    cast(sum(case when moved and not moved_by_earlier_model then 1 else 0 end) as bigint) as by_model
from moves
group by from_segment, to_segment
order by from_segment, to_segment
