-- Features that differ from a customer's by no more than the margin, of those for whom that may decide: another segment
-- comes from the features of a moment (before: segments_before; rfm_features: of the day) than from those of a moment
-- before it. given: the segments that the model gives before; assigned: those of the day; previous: those published at
-- the month close. Who does not order is taken for as much as $stay_days younger, too, and for half of that.
with doubtful as (
    select b.*
    from before as b
    inner join given as g
        on g.moment = b.moment and g.snapshot_date = b.snapshot_date and g.customer_id = b.customer_id
    left join previous as p on p.customer_id = b.customer_id
    left join given as c on c.moment = 'close' and c.customer_id = b.customer_id
    where p.segment <> g.segment or c.segment <> g.segment
    union all
    select
        'day' as moment,
        f.snapshot_date,
        f.customer_id,
        f.recency_days,
        f.frequency,
        f.monetary,
        f.avg_order_value,
        f.tenure_days,
        f.active_days,
        f.first_sold_at,
        f.last_sold_at
    from rfm_features as f
    inner join assigned as a on a.snapshot_date = f.snapshot_date and a.customer_id = f.customer_id
    left join previous as p on p.customer_id = f.customer_id
    left join given as c on c.moment = 'close' and c.customer_id = f.customer_id
    left join given as o
        on o.moment = 'order' and o.snapshot_date = f.snapshot_date and o.customer_id = f.customer_id
    where p.segment <> a.segment or c.segment <> a.segment or o.segment <> a.segment
),
ages as (
    select
        *,
        cast(recency_days as double) as age,
        greatest(
            least(cast(recency_days as double) * (1 - $margin), cast(recency_days - $stay_days as double)), 0
        ) as younger
    from doubtful
),
taken_for as (
    select
        *,
        case i.step
            when 0 then younger
            when 1 then (younger + age) / 2
            when 2 then age
            else age * (1 + $margin)
        end as taken_age
    from ages
    cross join (values (0), (1), (2), (3)) as i (step)
)
select
    t.moment,
    t.snapshot_date,
    t.customer_id,
    t.taken_age as recency_days,
    cast(t.frequency as double) * (1 + s.of_orders * $margin) as frequency,
    cast(t.monetary as double) * (1 + s.of_money * $margin) as monetary,
    cast(t.avg_order_value as double) * (1 + s.of_money * $margin) as avg_order_value,
    t.tenure_days + (t.taken_age - t.age) as tenure_days,
    t.active_days,
    t.first_sold_at,
    t.last_sold_at
from taken_for as t
cross join (values (0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)) as s (of_orders, of_money)
