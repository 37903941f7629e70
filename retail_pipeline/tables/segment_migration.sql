-- Moves between the segments of one segmentation since an earlier day. segment_assignments and rfm_features: today's;
-- earlier: the segments of the earlier day (customer_id, segment); moved_by_model: whom a newer model alone has moved
-- since, and where (customer_id, segment); customer_days: of the days since. Who stands where the model moved them has
-- moved by it; of the others by orders who ordered or returned something since, by time who did neither. Who is new
-- has not moved.
with since as (
    select distinct customer_id from customer_days
),
moves as (
    select
        coalesce(e.segment, 'New') as from_segment,
        a.segment as to_segment,
        f.last_sold_at,
        f.monetary,
        case
            when e.segment is null or e.segment = a.segment then null
            when m.customer_id is not null then 'model'
            when s.customer_id is not null then 'orders'
            else 'time'
        end as moved_by
    from segment_assignments as a
    inner join rfm_features as f on f.customer_id = a.customer_id
    left join earlier as e on e.customer_id = a.customer_id
    left join moved_by_model as m on m.customer_id = a.customer_id and m.segment = a.segment
    left join since as s on s.customer_id = a.customer_id
)
select
    $segmentation as segmentation,
    $compared_with as compared_with,
    $compared_day as compared_day,
    from_segment,
    to_segment,
    count(case when cast(last_sold_at as date) > $compared_day then 1 end) as bought,
    count(*) as customers,
    cast(sum(monetary) as decimal(18, 4)) as revenue,
    count(case when moved_by in ('orders', 'time') then 1 end) as by_behaviour,
    count(case when moved_by = 'model' then 1 end) as by_model,
    count(case when moved_by = 'orders' then 1 end) as by_orders,
    count(case when moved_by = 'time' then 1 end) as by_time
from moves
group by from_segment, to_segment
order by from_segment, to_segment
